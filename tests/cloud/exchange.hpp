#pragma once

#include "base/instant.hpp"

#include <boost/json.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// One HTTP exchange with the miniature cloud as plain values, free of sockets: a service takes a request and returns a
// reply, and what became of the reply on the wire (answered, dropped, never sent) is said beside it. Values are kept as
// text, secrets included: nothing here leaves the test.
namespace postern::testcloud {

namespace json = boost::json;

enum class service { cloudflare, infisical, heroku, edge, control };

std::string_view to_string(service s);
std::optional<service> parse_service(std::string_view text);

struct field {
    std::string name;
    std::string value;
};

struct request {
    service to = service::control;
    std::string method;
    std::string target; // as sent: path and query
    std::vector<field> headers;
    std::string body;
    // Taken apart from `target` by make_request: percent-decoded segments and query.
    std::string path;
    std::vector<std::string> segments;
    std::vector<field> query;

    // The first value of that header, whatever its case; nothing where absent.
    std::optional<std::string> header(std::string_view name) const;
    std::size_t header_count(std::string_view name) const;
    std::optional<std::string> query_value(std::string_view name) const;
    // The body as a JSON object, an empty body as an empty one; nothing where it is neither.
    std::optional<json::object> object() const;
    bool reads() const { return method == "GET" || method == "HEAD"; }
};

request make_request(service to, std::string method, std::string target, std::vector<field> headers = {},
                     std::string body = {});

struct reply {
    int status = 200;
    std::vector<field> headers;
    std::string body;

    reply& with(std::string name, std::string value) {
        headers.push_back({std::move(name), std::move(value)});
        return *this;
    }
    std::optional<std::string> header(std::string_view name) const;
    // The body as JSON; null where it is none.
    json::value parsed() const;
};

reply json_reply(int status, const json::value& body);
reply text_reply(int status, std::string content_type, std::string body);

// What the caller gets to see: the reply, a closed connection, a reset one, nothing at all, half a reply, or nothing
// until somebody says so, when the request is to be served again.
enum class fate { answer, drop, reset, hang, cut, hold };
std::string_view to_string(fate f);

struct outcome {
    reply answer;
    fate how = fate::answer;
    duration delay{};               // real time that the server waits before it answers
    std::shared_ptr<bool> released; // of `hold`
};

// Tolerant readers of a JSON object: nothing where the member is absent or of another type.
std::optional<std::string> text_at(const json::object& o, std::string_view key);
std::optional<bool> flag_at(const json::object& o, std::string_view key);
std::optional<std::int64_t> number_at(const json::object& o, std::string_view key);
const json::object* object_at(const json::object& o, std::string_view key);
const json::array* array_at(const json::object& o, std::string_view key);

// A point in time cut to whole seconds, the way Cloudflare and Heroku keep theirs.
instant whole_seconds(instant at);

std::string base64(std::string_view bytes);

// "Mon, 23 Nov 2026 10:00:00 GMT"
std::string http_date(instant at);

} // namespace postern::testcloud
