#include "provider/edge.hpp"

#include "base/text.hpp"
#include "net/json.hpp"
#include "provider/words.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace postern::provider {

namespace wire = net::json;
using boost::asio::awaitable;
using domain::verdict;

namespace {

// What the login redirect says of itself.
struct login {
    std::optional<bool> recognised; // service_token_status
    std::string aud;                // of the application that answered
};

std::optional<std::string> decode_base64url(std::string_view text) {
    std::string out;
    unsigned bits = 0;
    unsigned held = 0;
    for (char c : text) {
        constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        auto digit = digits.find(c);
        if (digit == std::string_view::npos)
            return {};
        bits = (bits << 6U) | static_cast<unsigned>(digit);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out += static_cast<char>((bits >> held) & 0xffU);
        }
    }
    return out;
}

std::string_view query_value(std::string_view url, std::string_view name) {
    auto query = url.find('?');
    if (query == std::string_view::npos)
        return {};
    for (auto field : split(url.substr(query + 1), '&')) {
        auto equals = std::min(field.find('='), field.size());
        if (field.substr(0, equals) == name)
            return field.substr(std::min(equals + 1, field.size()));
    }
    return {};
}

// The payload of a JWT, whose signature does not matter: it diagnoses, it proves nothing.
std::optional<boost::json::value> payload(std::string_view jwt) {
    auto parts = split(jwt, '.');
    auto text = parts.size() == 3 ? decode_base64url(parts[1]) : std::nullopt;
    if (!text)
        return {};
    auto parsed = wire::parse(secret{*text});
    return parsed ? std::optional{std::move(*parsed)} : std::nullopt;
}

// The login page of Access stands on the team's own host; a page of that path elsewhere is Access where the answer
// says so itself.
std::optional<login> login_redirect(const net::response& r) {
    if (r.status < 300 || r.status > 399)
        return {};
    auto location = r.header("Location");
    auto scheme = location.find("://");
    auto host_at = scheme == std::string_view::npos ? 0 : scheme + 3;
    auto path_at = std::min(location.find('/', host_at), location.size());
    auto host = lower(location.substr(host_at, path_at - host_at));
    auto path = location.substr(path_at);
    bool ours =
        host.ends_with(".cloudflareaccess.com") || lower(r.header("WWW-Authenticate")).starts_with("cloudflare-access");
    if (!ours || !path.starts_with("/cdn-cgi/access/login"))
        return {};
    login out;
    out.aud = query_value(location, "kid");
    if (auto meta = payload(query_value(location, "meta"))) {
        out.recognised = wire::flag(*meta, "service_token_status");
        if (out.aud.empty())
            out.aud = wire::text(*meta, "aud");
    }
    return out;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

bool refused_by_access(const net::response& r, std::string_view page) {
    if (r.status != 401 && r.status != 403)
        return false;
    return lower(r.header("WWW-Authenticate")).starts_with("cloudflare-access") ||
           contains(page, "cloudflare access") || contains(page, "cloudflareaccess.com") ||
           contains(page, "/cdn-cgi/access/");
}

// "error code: 1010" and its kin, or a challenge, from in front of Access.
std::string firewall_rule(const net::response& r, std::string_view page) {
    if (r.status < 400 || (r.status >= 520 && r.status <= 530))
        return {};
    if (lower(r.header("cf-mitigated")) == "challenge" || contains(page, "challenge-platform") ||
        contains(page, "<title>just a moment"))
        return "a challenge page";
    for (std::string_view code : {"1005", "1006", "1007", "1008", "1009", "1010", "1012", "1015", "1020"}) {
        if (contains(page, "error code: " + std::string{code}) || contains(page, "error " + std::string{code}))
            return "error " + std::string{code};
    }
    return contains(page, "<title>attention required! | cloudflare") ? "a block page" : "";
}

std::string first_bytes(const net::response& r) {
    return lower(r.body.reveal().substr(0, 64U << 10U));
}

std::string login_words(const login& seen, bool stranger) {
    if (stranger)
        return "to the login page of Access";
    if (seen.recognised.value_or(false))
        return "to the login page: the credential is recognised, but no policy of this application admits it; is the "
               "token in an `allow` policy instead of a `non_identity` one, or is the change still spreading?";
    if (seen.recognised)
        return "to the login page: the credential is not recognised or was ignored; is its secret wrong, expired or "
               "disabled, or does no `non_identity` policy of this application ask for it (an `allow` policy does "
               "not)?";
    return "to the login page: the credential is not recognised, or no policy of this application admits it";
}

std::string refusal_words(int status, bool stranger) {
    if (stranger)
        return "by Access";
    if (status == 401)
        return "by Access: the credential is wrong, expired or disabled, or no policy of this application admits it";
    return "by Access: the credential is valid but not allowed here (in a `deny` or only in an `allow` policy, or in "
           "none), or the application has no login page to send it to";
}

void judge_origin(const net::response& r, int expected, bool stranger, answer& out) {
    if (stranger) {
        bool refused = r.status / 100 == 3 || r.status == 401 || r.status == 403 || r.status == 407;
        out.is = r.status >= 500 ? verdict::origin_error : refused ? verdict::not_access : verdict::public_path;
        if (out.is == verdict::not_access)
            out.detail += ": refused, but not by Access; is the host behind an Access application?";
        else if (out.is == verdict::public_path)
            out.detail +=
                " without a credential: the path is public (a bypass policy, an exception for this path, or no "
                "Access at all); close it, or choose another smokeTest.path";
        else
            out.detail += " from the origin or the way to it";
        return;
    }
    if (r.status == expected)
        out.is = verdict::passed;
    else
        out.is = r.status >= 500 ? verdict::origin_error : verdict::unexpected;
    if (out.is == verdict::origin_error)
        out.detail += " from the origin or the way to it";
    else if (out.is == verdict::unexpected)
        out.detail += " from the origin: Access let it pass, but " + std::to_string(expected) +
                      " is expected; is smokeTest.path or expectStatus wrong, or the app?";
}

answer judge(const net::response& r, int expected, bool stranger) {
    answer out;
    out.status = r.status;
    out.detail = "HTTP " + std::to_string(r.status);
    auto page = first_bytes(r);
    if (auto seen = login_redirect(r)) {
        out.is = verdict::login_redirect;
        out.aud = seen->aud;
        out.detail += " " + login_words(*seen, stranger);
    } else if (auto rule = firewall_rule(r, page); !rule.empty()) {
        out.is = verdict::firewall;
        out.detail += ": a firewall or bot rule (" + rule +
                      ") stands before Access and stopped us; let this path or this machine's address pass it";
    } else if (refused_by_access(r, page)) {
        out.is = r.status == 401 ? verdict::unauthorized : verdict::forbidden;
        out.detail += " " + refusal_words(r.status, stranger);
    } else {
        judge_origin(r, expected, stranger, out);
    }
    return out;
}

bool is_another(const knock& at, const answer& came) {
    return !at.aud.empty() && !came.aud.empty() && at.aud != came.aud;
}

std::string another_words(const answer& came) {
    return "; it was another application that answered (aud " + printable(came.aud.substr(0, 12)) + "…)";
}

net::request request_to(const knock& at) {
    net::request r;
    r.origin = "https://" + at.host;
    r.target = at.path.starts_with('/') ? at.path : "/" + at.path;
    r.repeatable = net::repeat::safe;
    r.connect_to = at.connect_to;
    r.what = "edge GET " + at.host + r.target;
    r.with("Accept", "*/*");
    return r;
}

answer unreachable(const error& e) {
    answer out;
    out.detail = std::string{to_string(e.kind)} + ": " + e.what;
    return out;
}

} // namespace

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the transport outlives every call.
awaitable<answer> knock_as_stranger(net::transport& transport, knock at) {
    auto r = request_to(at);
    auto got = co_await transport.send(std::move(r));
    if (!got)
        co_return unreachable(got.error());
    auto out = judge(*got, at.expect_status, true);
    if (is_another(at, out)) {
        out.is = verdict::not_access;
        out.detail += another_words(out) + ": the credential is not shown to it";
    }
    if (auto ray = got->header("cf-ray"); !ray.empty())
        out.detail += " (cf-ray " + struck(ray, {}) + ")";
    co_return out;
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the transport outlives every call.
awaitable<answer> knock_with(net::transport& transport, knock at, secret credential) {
    auto colon = credential.reveal().find(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == credential.size()) {
        answer malformed;
        malformed.detail = "nothing was sent: the credential has not the form client_id:client_secret";
        co_return malformed;
    }
    auto r = request_to(at);
    r.with("CF-Access-Client-Id", credential.reveal().substr(0, colon));
    r.with("CF-Access-Client-Secret", credential.reveal().substr(colon + 1));
    auto got = co_await transport.send(std::move(r));
    std::vector<secret> known;
    known.push_back(std::move(credential));
    if (!got) {
        auto out = unreachable(got.error());
        out.detail = struck(out.detail, known);
        co_return out;
    }
    auto out = judge(*got, at.expect_status, false);
    if (is_another(at, out))
        out.detail += another_words(out);
    if (auto ray = got->header("cf-ray"); !ray.empty())
        out.detail += " (cf-ray " + std::string{ray} + ")";
    out.detail = struck(out.detail, known);
    co_return out;
}

} // namespace postern::provider
