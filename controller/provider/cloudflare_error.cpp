#include "provider/cloudflare_error.hpp"

#include "net/json.hpp"
#include "net/rate_limit.hpp"
#include "provider/words.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace postern::provider {

namespace json = boost::json;
namespace wire = net::json;

namespace {

// A breach of the limit blocks every call for this long.
constexpr duration block = std::chrono::minutes{5};

struct complaint {
    std::string code; // of the first error
    std::string words;
};

void collect(const json::array& errors, complaint& out) {
    for (const auto& e : errors) {
        auto code = wire::number(e, "code");
        auto number = code ? std::to_string(*code) : std::string{};
        if (out.code.empty())
            out.code = number;
        if (!out.words.empty())
            out.words += "; ";
        out.words += number + (number.empty() ? "" : " ") + wire::text(e, "message");
        collect(wire::items(e, "error_chain"), out);
    }
}

// The key itself is refused, or may not do this: Cloudflare does not tell the two apart.
bool is_credential(int status, std::string_view code) {
    constexpr std::array codes{"10000", "10001", "9103", "9106", "9109", "6003", "6111"};
    bool known = std::find(codes.begin(), codes.end(), code) != codes.end();
    return status == 401 || (known && (status == 403 || status == 400 || status / 100 == 2));
}

// Somebody else changed what we judged: 12130 is a catch-all, so its words decide.
bool has_moved(int status, const complaint& said) {
    auto has = [&](std::string_view words) { return said.words.find(words) != std::string::npos; };
    return status == 409 || status == 412 || said.code == "11018" || said.code == "12132" ||
           has("precedences must be unique") || has("can not update reusable policies through this endpoint");
}

error_kind judge(int status, bool envelope, const complaint& said, net::repeat repeatable) {
    auto lost = repeatable == net::repeat::once ? error_kind::ambiguous : error_kind::unavailable;
    if (status == 429 || (status / 100 == 2 && said.code == "971"))
        return error_kind::throttled;
    if (status >= 500 || status == 408 || (status / 100 == 2 && !envelope))
        return lost;
    if (is_credential(status, said.code))
        return error_kind::credential;
    if (has_moved(status, said))
        return error_kind::conflict;
    return error_kind::refused;
}

duration wait_of(const net::rate_limit& limit) {
    if (limit.retry_after)
        return *limit.retry_after;
    return limit.reset.value_or(block);
}

std::string hint(error_kind kind, const std::string& permission) {
    if (kind == error_kind::credential && permission.empty())
        return "; the API token is wrong, expired or revoked";
    if (kind == error_kind::credential)
        return "; the API token is wrong, expired or revoked, or it lacks the permission \"" + permission +
               "\" on this account";
    if (kind == error_kind::ambiguous)
        return "; it may have been acted on";
    return {};
}

} // namespace

bool is_envelope(const result<json::value>& body) {
    const auto* success = body ? wire::find(*body, "success") : nullptr;
    return success != nullptr && success->is_bool();
}

error failed(const net::response& r, const result<json::value>& body, net::repeat repeatable,
             const std::string& permission, const std::vector<secret>& known, instant now) {
    complaint said;
    bool envelope = is_envelope(body);
    if (envelope)
        collect(wire::items(*body, "errors"), said);
    error e;
    e.kind = judge(r.status, envelope, said, repeatable);
    e.status = r.status;
    e.code = said.code.empty() && envelope && r.status == 404 ? "not_found" : said.code;
    e.what = "HTTP " + std::to_string(r.status) + ": ";
    e.what += envelope ? struck(said.words, known) : excerpt(r, known);
    e.what += hint(e.kind, permission);
    if (e.status == 404 && e.code == "7003")
        e.what += "; is the account id right?";
    if (auto ray = r.header("cf-ray"); !ray.empty())
        e.what += " (cf-ray " + struck(ray, known) + ")";
    if (e.kind == error_kind::throttled)
        e.retry_after = wait_of(net::read_rate_limit(r, now));
    else if (e.kind == error_kind::unavailable)
        e.retry_after = net::read_rate_limit(r, now).retry_after;
    return e;
}

bool is_gone(const error& e) {
    return e.status == 404 && !e.code.empty() && e.code != "7000" && e.code != "7003";
}

} // namespace postern::provider
