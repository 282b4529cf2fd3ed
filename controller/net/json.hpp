#pragma once

#include "base/instant.hpp"
#include "base/secret.hpp"

#include <boost/json/value.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Reads and writes the JSON of remotes. Remotes add fields, leave them out and write 3 as 3.0, so a member that is
// absent, null or of another type is simply not there. Documents live in memory that is wiped when it is given back,
// for secrets stand in some of them; no error repeats anything of a body.
namespace postern::net::json {

struct limits {
    std::size_t bytes = 16U << 20U;
    std::size_t depth = 64;
};

// Memory for a document that may hold secrets.
boost::json::storage_ptr memory();

// Exactly one JSON value. Else `unavailable`: the remote, or something in front of it, talks nonsense, and `what` says
// of which sort (nothing at all, a page of HTML, a document cut short, where it stops being JSON).
result<boost::json::value> parse(const secret& body, limits within = {});

secret serialize(const boost::json::value& document);

// The member of an object; nullptr where there is none, or it is null, or `in` is no object.
const boost::json::value* find(const boost::json::value& in, std::string_view key);

std::string text(const boost::json::value& in, std::string_view key);
std::optional<secret> secret_text(const boost::json::value& in, std::string_view key);
std::optional<std::int64_t> number(const boost::json::value& in, std::string_view key);
std::optional<bool> flag(const boost::json::value& in, std::string_view key);
std::optional<instant> time(const boost::json::value& in, std::string_view key);
// Empty where absent.
const boost::json::array& items(const boost::json::value& in, std::string_view key);
const boost::json::object& object(const boost::json::value& in, std::string_view key);

} // namespace postern::net::json
