#pragma once

#include "net/gate.hpp"
#include "net/json.hpp"
#include "provider/call.hpp"
#include "provider/infisical.hpp"

#include <boost/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// How a call reaches one project of an Infisical server: logged in, in the dialect that the server speaks, under the
// project's id. What is said in it is infisical.cpp's.
namespace postern::provider {

// A group of routes that newer servers have under another path and with another name for the project.
struct route_family {
    std::string_view older;
    std::string_view newer;
};
inline constexpr route_family secrets_routes{"/api/v3/secrets/raw", "/api/v4/secrets"};
inline constexpr route_family folder_routes{"/api/v1/folders", "/api/v2/folders"};

struct infisical_call {
    net::method verb = net::method::get;
    const route_family* family = nullptr;
    std::string below = {}; // "/KEY"
    std::string object;     // "secret KEY in /MooseQuest/cloudflare"
    net::repeat repeatable = net::repeat::safe;
    bool compared = false; // it relies on what was read right before
    std::vector<std::pair<std::string, std::string>> query = {};
    boost::json::object body = boost::json::object(net::json::memory());
    secret value = {}; // what the body holds that no error may repeat

    std::string name() const { return "infisical " + std::string{net::to_string(verb)} + " " + object; }
};

// What an error's status and class say. `code` is what the server calls `error`: a class ("TokenError"), an operation
// ("CreateSecret") or a sentence.
bool is_folder_missing(const error& e);
bool is_secret_missing(const error& e);

struct infisical::session {
    session(net::transport& t, net::clock& c, place p, login l)
        : where(std::move(p)), transport(t), clock(c), with(std::move(l)), url(split_url(where.url)),
          project(where.project_id) {}

    void use(login keys);

    // The answer to a call of this project, logged in, in the dialect that the server speaks.
    boost::asio::awaitable<result<boost::json::value>> exchange(infisical_call c);

    place where;
    std::optional<duration> skew;

private:
    // A token and a project id to work with.
    boost::asio::awaitable<result<void>> prepare();
    boost::asio::awaitable<result<void>> log_in();
    boost::asio::awaitable<result<void>> find_project();
    boost::asio::awaitable<result<boost::json::value>> send(net::request r, std::vector<secret> known);
    net::request build(const infisical_call& c, bool newer, instant began) const;
    net::request plain(net::method verb, const std::string& target, std::string what) const;
    bool needs_login() const;
    std::vector<secret> own_secrets() const;

    net::transport& transport;
    net::clock& clock;
    login with;
    url_parts url;
    std::string project; // its id, once known

    secret token; // empty: log in first
    std::optional<instant> token_until;
    std::uint64_t token_number = 0;
    // One at a time logs in; who waited takes the outcome of the one before.
    net::gate door{1};
    std::uint64_t attempts = 0;
    std::optional<error> last_failure;
    instant locked_until{};
    int bad_logins = 0; // in a row

    std::vector<const route_family*> newer_routes; // of which the server lacks the older ones
};

} // namespace postern::provider
