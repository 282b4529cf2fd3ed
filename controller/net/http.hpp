#pragma once

#include "base/error.hpp"
#include "base/instant.hpp"
#include "base/secret.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// One HTTP exchange as plain values. A request says itself whether it may be sent twice, how long it may take and how
// much answer it will take in; header values and bodies are secrets, because some of them are.
namespace postern::net {

enum class method { get, post, put, patch, delete_ };

std::string_view to_string(method m);

// Whether sending the request again can do harm. A vault PATCH (a new version, webhooks) and a Heroku PATCH (a
// restart) are `once`, equal value or not.
enum class repeat { safe, once };

// What a request is for, the most urgent first: a credential's way to where it is used; putting right and clearing
// away; looking at the world. Where an account's budget is short, each leaves a reserve to those before it.
enum class urgency { rotation, repair, refresh };

struct header {
    std::string name;
    secret value;
};

struct request {
    method verb = method::get;
    std::string origin; // "https://api.cloudflare.com", "http://127.0.0.1:8080": scheme, host, port; no path
    std::string target; // path and query, already percent-encoded: "/client/v4/accounts"
    std::vector<header> headers;
    secret body; // sent with Content-Length where not empty
    repeat repeatable = repeat::once;
    bool login = false; // no GET, and yet nothing changes by it
    urgency lane = urgency::rotation;
    std::string quota;               // which of the remote's own counters it goes by, where that has several
    std::string what;                // for errors: "cloudflare GET service tokens"
    std::optional<duration> timeout; // for the whole exchange; else the transport's own
    // Of a write that relies on what was read right before, or the last look before it: it is sent no later than this,
    // or not at all.
    std::optional<duration> patience;
    std::optional<instant> start_by; // it is not sent later than this, whoever sends it again
    // The work that it belongs to has written already: where somebody asks to stop, it is not turned away at the door.
    bool finishes = false;
    std::size_t body_limit = 16U << 20U;
    // Connects here instead of to `origin`, whose host still goes into Host and SNI: smoke tests and split-horizon DNS.
    // The scheme of this origin decides about TLS.
    std::optional<std::string> connect_to;

    request& with(std::string name, std::string_view value) {
        headers.push_back({std::move(name), secret{value}});
        return *this;
    }

    // The same request again, for whoever may have to send it twice.
    request copy() const;
};

// How long after the comparison that it relies on a write may still go out.
inline constexpr duration compared_lately = std::chrono::seconds{5};

// When the request may go out at the latest, of one that came then. `once` needs part of its timeout left, for what is
// cut off while the answer is on its way is in doubt; what relies on a comparison has its patience; and what is sent
// again keeps to what held for it at first. Others may always.
instant latest_start(const request& r, instant came, duration timeout);

struct response {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers; // as received; Set-Cookie left out
    secret body;

    // The first value of that header, whatever its case; empty where absent.
    std::string_view header(std::string_view name) const;
};

// An origin taken apart: {"https", "host", "443"}; nothing where it is not http(s)://host[:port].
struct origin_parts {
    std::string scheme;
    std::string host; // without brackets where it is an IPv6 address
    std::string port;
};
std::optional<origin_parts> parse_origin(std::string_view origin);

// Percent-encodes everything but the unreserved characters: for one path segment or one query value.
std::string percent_encode(std::string_view text);

} // namespace postern::net
