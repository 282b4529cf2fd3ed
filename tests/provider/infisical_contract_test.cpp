#include "printing.hpp"
#include "provider/infisical.hpp"
#include "support/harness.hpp"
#include "support/settable_clock.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace infisical_contract_test {

// Answers of a real server, replayed: POSTERN_CONTRACTS names the folder of the recording. Without it nothing is tried.

using namespace postern;
using provider::infisical;
using testing::run;

namespace {

namespace json = boost::json;

struct recorded {
    int status = 0;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
};

std::map<std::string, recorded> load() {
    std::map<std::string, recorded> out;
    const char* folder = std::getenv("POSTERN_CONTRACTS");
    if (folder == nullptr)
        return out;
    std::ifstream file{std::string{folder} + "/infisical-exchanges.jsonl"};
    for (std::string line; std::getline(file, line);) {
        auto exchange = json::parse(line);
        const auto& response = exchange.at("response").as_object();
        const auto* status = response.if_contains("status");
        if (status == nullptr || !status->is_int64())
            continue;
        recorded r;
        r.status = static_cast<int>(status->as_int64());
        if (const auto* body = response.if_contains("body"); body != nullptr)
            r.body = json::serialize(*body);
        if (const auto* headers = response.if_contains("headers"); headers != nullptr) {
            for (const auto& h : headers->as_object()) {
                if (h.value().is_string())
                    r.headers.emplace_back(h.key(), h.value().as_string());
            }
        }
        out.emplace(json::value_to<std::string>(exchange.at("case")), std::move(r));
    }
    return out;
}

// Logs everybody in; answers anything else with one recorded answer, and notes what was asked.
class replay final : public net::transport {
public:
    explicit replay(recorded answer) : answer_(std::move(answer)) {}

    boost::asio::awaitable<result<net::response>> send(net::request r) override {
        net::response out;
        out.status = 200;
        if (r.target == "/api/v1/auth/universal-auth/login") {
            out.body = secret{R"({"accessToken":"t","expiresIn":0})"};
            co_return out;
        }
        ++asked;
        out.status = answer_.status;
        out.headers = answer_.headers;
        out.body = secret{answer_.body};
        co_return out;
    }

    int asked = 0;

private:
    recorded answer_;
};

struct player {
    boost::asio::io_context io;
    testing::settable_clock clock;
    std::map<std::string, recorded> all = load();

    template<class Call>
    auto play(const std::string& name, Call call) {
        CAPTURE(name);
        REQUIRE(all.contains(name));
        replay wire{all.at(name)};
        infisical::universal_login keys;
        keys.client_id = secret{"id"};
        keys.client_secret = secret{"secret"};
        infisical::place at{"http://127.0.0.1", "pid", "", "prod"};
        infisical vault{wire, clock, at, std::move(keys)};
        return run(io, call(vault));
    }
};

auto read_it(infisical& vault) {
    return vault.read("/MooseQuest/cloudflare", "CLOUDFLARE_ACCESS_BIOS_OSBOOKS");
}
auto list_it(infisical& vault) {
    return vault.list("/MooseQuest/cloudflare");
}
auto create_it(infisical& vault) {
    return vault.create("/MooseQuest/cloudflare", "K", secret{"v"}, "");
}
auto update_it(infisical& vault) {
    return vault.update("/MooseQuest/cloudflare", "K", secret{"v"});
}
auto remove_it(infisical& vault) {
    return vault.remove("/MooseQuest/cloudflare", "K");
}

} // namespace

TEST_CASE("what a real server answered is understood") {
    player p;
    if (p.all.empty()) {
        MESSAGE("POSTERN_CONTRACTS is not set: no recording to replay");
        return;
    }
    using k = error_kind;

    auto found = p.play("secret get", read_it);
    REQUIRE(found);
    REQUIRE(found->has_value());
    CHECK((*found)->version == 1);
    CHECK((*found)->value.reveal().starts_with("88bf3b6d86161464f6509f7219099e57.access:"));
    CHECK_FALSE((*found)->hidden);
    auto missing = p.play("secret get, missing", read_it);
    REQUIRE(missing);
    CHECK_FALSE(missing->has_value());
    CHECK(p.play("get: missing folder", read_it).error().kind == k::refused);
    CHECK(p.play("get: wrong env", read_it).error().what.find("environment prod") != std::string::npos);
    CHECK(p.play("get: unknown project uuid", read_it).error().kind == k::refused);
    CHECK(p.play("auth: no token", read_it).error().kind == k::credential);
    CHECK(p.play("auth: garbage token", read_it).error().kind == k::credential);
    CHECK(p.play("auth: expired access token", read_it).error().kind == k::credential);
    CHECK(p.play("auth: revoked token", read_it).error().kind == k::credential);
    CHECK(p.play("auth: one-use token, 2nd use", read_it).error().kind == k::credential);
    CHECK(p.play("auth: TTL over but maxTTL not (old server: 401, not 403)", read_it).error().kind == k::credential);
    CHECK(p.play("auth: non-member identity", read_it).error().kind == k::refused);
    auto throttled = p.play("rate limited (429)", read_it);
    REQUIRE_FALSE(throttled);
    CHECK(throttled.error().kind == k::throttled);
    CHECK(throttled.error().retry_after == std::chrono::seconds{60});

    auto rows = p.play("secret list", list_it);
    REQUIRE(rows);
    CHECK(rows->front().key == "CLOUDFLARE_ACCESS_BIOS_OSBOOKS");
    CHECK(p.play("secret list missing folder", list_it)->empty());
    CHECK(p.play("secret list bad boolean", list_it).error().kind == k::refused);
    auto raced = p.play("race: list shows how many RACE rows", list_it);
    REQUIRE(raced);
    CHECK(std::count_if(raced->begin(), raced->end(), [](const auto& e) { return e.key == "RACE"; }) == 6);

    CHECK(p.play("secret create", create_it).value() == infisical::written::stored);
    CHECK(p.play("secret create, already exists (same value)", create_it).error().kind == k::conflict);
    CHECK(p.play("create: missing folder", create_it).error().kind == k::refused);
    CHECK(p.play("create: unknown project", create_it).error().kind == k::refused);
    CHECK(p.play("perm: viewer cannot create", create_it).error().kind == k::refused);
    CHECK(p.play("size body over 1 MiB", create_it).error().kind == k::ambiguous);
    CHECK(p.play("name 300 chars", create_it).error().kind == k::refused);
    CHECK(p.play("secret update, new value", update_it).value() == infisical::written::stored);
    CHECK(p.play("secret update, missing", update_it).error().kind == k::conflict);
    CHECK(p.play("secret update, comment only (this server demands secretValue)", update_it).error().kind ==
          k::refused);
    CHECK(p.play("secret delete", remove_it).value() == infisical::written::stored);
    CHECK(p.play("secret delete, missing", remove_it).value() == infisical::written::stored);
    CHECK(p.play("perm: viewer cannot delete", remove_it).error().kind == k::refused);

    auto exists = [](infisical& vault) { return vault.folder_exists("/MooseQuest/cloudflare"); };
    CHECK(p.play("folder list child, trailing slash", exists).value());
    CHECK_FALSE(p.play("folder list missing path", exists).value());
    auto make = [](infisical& vault) { return vault.create_folder("/MooseQuest/cloudflare"); };
    CHECK(p.play("folder create child again (duplicate)", make));
    CHECK(p.play("folder create wrong env", make).error().kind == k::refused);
}

TEST_CASE("what a real server stores is what as_stored() says") {
    player p;
    if (p.all.empty())
        return;
    auto stored = [&](const std::string& name, const std::string& key) {
        auto call = [&](infisical& vault) { return vault.read("/MooseQuest/cloudflare", key); };
        auto entry = p.play("value read " + name, call);
        REQUIRE(entry);
        return std::string{(*entry)->value.reveal()};
    };
    auto sent = [&](const std::string& name) {
        std::ifstream file{std::string{std::getenv("POSTERN_CONTRACTS")} + "/infisical-exchanges.jsonl"};
        for (std::string line; std::getline(file, line);) {
            auto exchange = json::parse(line);
            if (exchange.at("case").as_string() == "value create " + name)
                return json::value_to<std::string>(exchange.at("request").at("body").at("secretValue"));
        }
        return std::string{};
    };
    for (const std::string name : {"WS", "NL", "NLS", "COLON", "EMPTY", "UNI", "DOLLAR"}) {
        CAPTURE(name);
        CHECK(provider::as_stored(sent(name)).reveal() == stored(name, "T_" + name));
    }
}

} // namespace infisical_contract_test
