#include "provider/call.hpp"

#include "net/json.hpp"
#include "net/wiping.hpp"
#include "provider/words.hpp"

namespace postern::provider {

url_parts split_url(std::string_view url) {
    auto scheme = url.find("://");
    auto slash = url.find('/', scheme == std::string_view::npos ? 0 : scheme + 3);
    url_parts out{std::string{url.substr(0, slash)}, {}};
    if (slash != std::string_view::npos)
        out.path = url.substr(slash);
    while (out.path.ends_with('/'))
        out.path.pop_back();
    return out;
}

void authorize(net::request& r, const secret& key) {
    constexpr std::string_view scheme = "Bearer ";
    auto bytes = key.reveal();
    net::wiping_buffer value;
    value.reserve(scheme.size() + bytes.size());
    value.insert(value.end(), scheme.begin(), scheme.end());
    value.insert(value.end(), bytes.begin(), bytes.end());
    r.with("Authorization", {value.data(), value.size()});
}

void send_json(net::request& r, const boost::json::value& body) {
    r.body = net::json::serialize(body);
    r.with("Content-Type", "application/json");
}

std::optional<duration> skew_of(const net::response& r, instant now) {
    auto date = parse_http_date(r.header("Date"));
    if (!date)
        return {};
    return *date - now;
}

error lost(error e, const std::string& where, const std::vector<secret>& known) {
    if (e.where.empty())
        e.where = where;
    e.what = struck(e.what, known);
    return e;
}

} // namespace postern::provider
