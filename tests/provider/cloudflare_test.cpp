#include "printing.hpp"
#include "provider/cloudflare.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"
#include "support/settable_clock.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace cloudflare_test {

using namespace postern;
using net::method;
using testing::run;

namespace {

const std::string base = "https://api.cloudflare.com/client/v4";
const std::string account = "/client/v4/accounts/acc";
const std::string tokens = account + "/access/service_tokens";
const std::string token_id = "3b0c6f0e-6a57-4f0e-9c5d-0d7f5b1c2a11";
const std::string new_secret = "cfast_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE00000000";
const std::string old_secret(64, 'a');

struct bench {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    // Without a clock each refusal is believed at once.
    provider::cloudflare api{wire, base, "acc", secret{"key-of-the-account"}};
};

std::string ok(const std::string& result, const std::string& more = {}) {
    return R"({"success":true,"errors":[],"messages":[],"result":)" + result + more + "}";
}

std::string no(int code, const std::string& message) {
    return R"({"success":false,"errors":[{"code":)" + std::to_string(code) + R"(,"message":")" + message +
           R"("}],"messages":[],"result":null})";
}

std::string token(const std::string& id, const std::string& more = {}) {
    return R"({"id":")" + id + R"(","name":"n-)" + id +
           R"(","client_id":"0f1e.access","duration":"8760h","expires_at":"2027-11-23T10:00:00Z")" + more + "}";
}

std::string page(int number) {
    return tokens + "?per_page=100&page=" + std::to_string(number);
}

std::vector<std::string> ids(const result<std::vector<domain::live_token>>& list) {
    std::vector<std::string> out;
    REQUIRE(list);
    for (const auto& t : *list)
        out.push_back(t.id);
    return out;
}

using names = std::vector<std::string>;

std::string tokens_of(const names& which, int total = 0) {
    std::string all;
    for (const auto& id : which)
        all += (all.empty() ? "" : ",") + token(id);
    const auto info = total == 0 ? std::string{} : R"(,"result_info":{"total_count":)" + std::to_string(total) + "}";
    return ok("[" + all + "]", info);
}

} // namespace

TEST_CASE("the list of tokens is read to its end") {
    bench b;
    SUBCASE("as total_count says, also where the server caps the page") {
        b.wire.expect(method::get, page(1))
            .with_header("Authorization", "Bearer key-of-the-account")
            .answers(200, ok("[" + token("a") + "," + token("b") + "]", R"(,"result_info":{"total_count":3.0})"));
        b.wire.expect(method::get, page(2))
            .answers(200, ok("[" + token("c") + "]", R"(,"result_info":{"total_count":3})"));
        CHECK(ids(run(b.io, b.api.list_tokens())) == names{"a", "b", "c"});
    }
    SUBCASE("until an empty page, where there is no count") {
        b.wire.expect(method::get, page(1)).answers(200, ok("[" + token("a") + "]"));
        b.wire.expect(method::get, page(2)).answers(200, ok("[]"));
        CHECK(ids(run(b.io, b.api.list_tokens())) == names{"a"});
    }
    SUBCASE("once, where the server ignores the page") {
        b.wire.expect(method::get, page(1)).answers(200, ok("[" + token("a") + "]"));
        b.wire.expect(method::get, page(2)).answers(200, ok("[" + token("a") + "]"));
        CHECK(ids(run(b.io, b.api.list_tokens())) == names{"a"});
    }
    SUBCASE("and not beyond, where the last page comes again") {
        b.wire.expect(method::get, page(1)).answers(200, tokens_of({"a", "b"}));
        b.wire.expect(method::get, page(2)).answers(200, tokens_of({"c"}));
        b.wire.expect(method::get, page(3)).answers(200, tokens_of({"c"}));
        CHECK(ids(run(b.io, b.api.list_tokens())) == names{"a", "b", "c"});
    }
    SUBCASE("once, where a page has an item twice") {
        b.wire.expect(method::get, page(1)).answers(200, tokens_of({"a", "a", "b"}, 2));
        CHECK(ids(run(b.io, b.api.list_tokens())) == names{"a", "b"});
    }
    SUBCASE("an error in the middle is an error of the whole") {
        b.wire.expect(method::get, page(1))
            .answers(200, ok("[" + token("a") + "]", R"(,"result_info":{"total_count":3})"));
        b.wire.expect(method::get, page(2)).answers(502, "<html><title>Bad gateway</title></html>");
        auto list = run(b.io, b.api.list_tokens());
        REQUIRE_FALSE(list);
        CHECK(list.error().kind == error_kind::unavailable);
        CHECK(list.error().what.find("Bad gateway") != std::string::npos);
    }
}

TEST_CASE("a list that changes while it is read is read again, and never told in part") {
    bench b;
    SUBCASE("one more: the pages overlap") {
        b.wire.expect(method::get, page(1)).answers(200, tokens_of({"a", "b"}));
        b.wire.expect(method::get, page(2)).answers(200, tokens_of({"b", "c"}));
        b.wire.expect(method::get, page(1)).answers(200, tokens_of({"x", "a"}));
        b.wire.expect(method::get, page(2)).answers(200, tokens_of({"b", "c"}));
        b.wire.expect(method::get, page(3)).answers(200, tokens_of({}));
        CHECK(ids(run(b.io, b.api.list_tokens())) == names{"x", "a", "b", "c"});
    }
    SUBCASE("one more, and no page brings anything new") {
        b.wire.expect(method::get, page(1)).answers(200, tokens_of({"a", "b"}));
        b.wire.expect(method::get, page(2)).answers(200, tokens_of({"b"}));
        b.wire.expect(method::get, page(1)).answers(200, tokens_of({"x", "a"}, 3));
        b.wire.expect(method::get, page(2)).answers(200, tokens_of({"b"}, 3));
        CHECK(ids(run(b.io, b.api.list_tokens())) == names{"x", "a", "b"});
    }
    SUBCASE("one less: the count changes, and one slipped to a page that was read already") {
        b.wire.expect(method::get, page(1)).answers(200, tokens_of({"a", "b"}, 5));
        b.wire.expect(method::get, page(2)).answers(200, tokens_of({"d", "e"}, 4));
        b.wire.expect(method::get, page(1)).answers(200, tokens_of({"b", "c"}, 4));
        b.wire.expect(method::get, page(2)).answers(200, tokens_of({"d", "e"}, 4));
        CHECK(ids(run(b.io, b.api.list_tokens())) == names{"b", "c", "d", "e"});
    }
    SUBCASE("one came and one went: the count stays, the pages overlap") {
        b.wire.expect(method::get, page(1)).answers(200, tokens_of({"a", "b"}, 3));
        b.wire.expect(method::get, page(2)).answers(200, tokens_of({"c", "b"}, 3));
        b.wire.expect(method::get, page(1)).answers(200, tokens_of({"a", "c"}, 3));
        b.wire.expect(method::get, page(2)).answers(200, tokens_of({"b"}, 3));
        CHECK(ids(run(b.io, b.api.list_tokens())) == names{"a", "c", "b"});
    }
    SUBCASE("without an end: it cannot be read now") {
        for (int n = 0; n < 3; ++n) {
            b.wire.expect(method::get, page(1)).answers(200, tokens_of({"a", "b"}, 5 + n));
            b.wire.expect(method::get, page(2)).answers(200, tokens_of({"c", "d"}, 6 + n));
        }
        auto list = run(b.io, b.api.list_tokens());
        REQUIRE_FALSE(list);
        CHECK(list.error().kind == error_kind::unavailable);
        CHECK(list.error().what.find("changed") != std::string::npos);
    }
}

TEST_CASE("a token's fields may be absent, null or new") {
    bench b;
    b.wire.expect(method::get, page(1))
        .answers(200, ok("[" + token("a", R"(,"enabled":false,"created_at":"2026-11-23T10:00:00Z","tier":9)") +
                             R"(,{"id":"f","client_id":"c.access","name":"f","duration":"forever",)"
                             R"("expires_at":"9999-01-01T00:00:00Z","last_seen_at":null}])",
                         R"(,"result_info":{"total_count":2})"));
    auto list = run(b.io, b.api.list_tokens());
    REQUIRE(list);
    REQUIRE(list->size() == 2);
    CHECK_FALSE(list->at(0).enabled);
    CHECK(list->at(0).expires_at == parse_instant("2027-11-23T10:00:00Z"));
    CHECK(list->at(0).created_at == parse_instant("2026-11-23T10:00:00Z"));
    CHECK(list->at(1).enabled);
    CHECK_FALSE(list->at(1).expires_at);
    CHECK_FALSE(list->at(1).last_seen_at);
}

TEST_CASE("an answer's status and code say what the loop must do") {
    struct row {
        int status;
        std::string body;
        error_kind read;
        error_kind once;
    };
    using k = error_kind;
    const std::string html = "<!DOCTYPE html><html><head><title>Sorry</title></head></html>";
    const row rows[] = {
        {401, no(1000, "Invalid API Token"), k::credential, k::credential},
        {401, html, k::credential, k::credential},
        {403, no(10000, "Authentication error"), k::credential, k::credential},
        {403, no(9109, "Unauthorized to access requested resource"), k::credential, k::credential},
        {400, no(6003, "Invalid request headers"), k::credential, k::credential},
        {403, no(9999, "not_enabled: Access is not enabled"), k::refused, k::refused},
        {403, html, k::refused, k::refused},
        {404, no(7003, "Could not route to the URI"), k::refused, k::refused},
        {404, html, k::refused, k::refused},
        {400, no(12130, "access.api.error.invalid_request"), k::refused, k::refused},
        {400, no(12139, "access.api.error.service_token_in_use"), k::refused, k::refused},
        {400, no(12130, "x: policy precedences must be unique"), k::conflict, k::conflict},
        {400, no(11018, "invalid_policy_precedence"), k::conflict, k::conflict},
        {409, no(12132, "access.api.error.conflict"), k::conflict, k::conflict},
        {429, no(971, "Please wait"), k::throttled, k::throttled},
        {429, no(10000, "Please wait"), k::throttled, k::throttled},
        {200, no(971, "Please wait"), k::throttled, k::throttled},
        {200, no(12130, "no"), k::refused, k::refused},
        {200, R"({"success":tr)", k::unavailable, k::ambiguous},
        {200, "", k::unavailable, k::ambiguous},
        {200, html, k::unavailable, k::ambiguous},
        {201, R"({"id":"x"})", k::unavailable, k::ambiguous},
        {500, no(10001, "internal"), k::unavailable, k::ambiguous},
        {502, "bad gateway", k::unavailable, k::ambiguous},
        {520, html, k::unavailable, k::ambiguous},
    };
    for (const auto& r : rows) {
        CAPTURE(r.status);
        CAPTURE(r.body);
        bench b;
        b.wire.expect(method::get, page(1)).answers(r.status, r.body, {{"CF-Ray", "8f00-LHR"}});
        b.wire.expect(method::post, tokens).answers(r.status, r.body, {{"CF-Ray", "8f00-LHR"}});
        auto read = run(b.io, b.api.list_tokens());
        auto once = run(b.io, b.api.create_token("n", "8760h"));
        REQUIRE_FALSE(read);
        REQUIRE_FALSE(once);
        CHECK(read.error().kind == r.read);
        CHECK(once.error().kind == r.once);
        CHECK(once.error().status == r.status);
        CHECK(read.error().where == "cloudflare GET service tokens");
        CHECK(once.error().where == "cloudflare POST service token n");
        CHECK(once.error().what.find("8f00-LHR") != std::string::npos);
        CHECK(b.wire.requests()[0].repeatable == net::repeat::safe);
        CHECK(b.wire.requests()[1].repeatable == net::repeat::once);
    }
}

TEST_CASE("a refusal of the key names both causes") {
    bench b;
    b.wire.expect(method::get, page(1)).answers(403, no(10000, "Authentication error"));
    auto e = run(b.io, b.api.list_tokens()).error();
    CHECK(e.code == "10000");
    CHECK(e.what == "HTTP 403: 10000 Authentication error; the API token is wrong, expired or revoked, or it lacks the "
                    "permission \"Access: Service Tokens Read\" on this account");
    b.wire.expect(method::delete_, tokens + "/x").answers(403, no(10000, "Authentication error"));
    CHECK(run(b.io, b.api.delete_token("x")).error().what.find("Access: Service Tokens Write") != std::string::npos);
}

TEST_CASE("errors tell their chain, and when to come back") {
    bench b;
    b.wire.expect(method::get, page(1))
        .answers(400, R"({"success":false,"errors":[{"code":6003,"message":"Invalid request headers",)"
                      R"("error_chain":[{"code":6111,"message":"Invalid format for Authorization header"}]}]})");
    CHECK(run(b.io, b.api.list_tokens()).error().what.find("6111 Invalid format") != std::string::npos);

    b.wire.expect(method::get, page(1)).answers(429, no(971, "wait"), {{"Retry-After", "17"}});
    CHECK(run(b.io, b.api.list_tokens()).error().retry_after == std::chrono::seconds{17});
    b.wire.expect(method::get, page(1)).answers(429, "slow down", {{"Ratelimit", R"("default";r=0;t=30)"}});
    CHECK(run(b.io, b.api.list_tokens()).error().retry_after == std::chrono::seconds{30});
    b.wire.expect(method::get, page(1)).answers(429, "slow down");
    CHECK(run(b.io, b.api.list_tokens()).error().retry_after == std::chrono::minutes{5});
}

TEST_CASE("no error repeats a secret, whatever the remote says") {
    bench b;
    for (const auto& said : {"bad key-of-the-account here", new_secret.c_str(), old_secret.c_str()}) {
        b.wire.expect(method::get, page(1)).answers(400, no(1, said));
        b.wire.expect(method::get, page(1)).answers(502, said, {{"cf-ray", said}});
        b.wire.expect(method::get, page(1)).answers(502, "<html><title>" + std::string{said} + "</title></html>");
        for (int i = 0; i < 3; ++i) {
            auto message = run(b.io, b.api.list_tokens()).error().message();
            CAPTURE(message);
            CHECK(message.find("key-of-the-account") == std::string::npos);
            CHECK(message.find(new_secret.substr(6)) == std::string::npos);
            CHECK(message.find(old_secret.substr(20)) == std::string::npos);
        }
    }
}

TEST_CASE("a transport's failure keeps its kind") {
    bench b;
    b.wire.expect(method::post, tokens).fails(error_kind::ambiguous, "the connection was reset");
    auto e = run(b.io, b.api.create_token("n", "8760h")).error();
    CHECK(e.kind == error_kind::ambiguous);
    CHECK(e.where == "cloudflare POST service token n");
}

TEST_CASE("minting") {
    bench b;
    b.wire.expect(method::post, tokens)
        .with_body(R"({"name":"ctl","duration":"8760h"})")
        .answers(200, ok(R"({"id":"3b0c","name":"ctl","client_id":"0f1e.access","client_secret":")" + new_secret +
                         R"(","duration":"8760h","enabled":true,"created_at":"2026-11-23T10:00:00Z"})"));
    auto minted = run(b.io, b.api.create_token("ctl", "8760h"));
    REQUIRE(minted);
    CHECK(minted->token.client_id == "0f1e.access");
    CHECK(minted->client_secret.reveal() == new_secret);
    CHECK(minted->token.expires_at == parse_instant("2027-11-23T10:00:00Z"));

    // A success without the secret is a token that nobody holds.
    b.wire.expect(method::post, tokens).answers(201, ok(token("x")));
    CHECK(run(b.io, b.api.create_token("ctl", "8760h")).error().kind == error_kind::ambiguous);
}

TEST_CASE("a token is gone only where Cloudflare says so") {
    bench b;
    auto url = tokens + "/" + token_id;
    b.wire.expect(method::get, url).answers(200, ok(token(token_id)));
    auto found = run(b.io, b.api.get_token(token_id));
    REQUIRE(found);
    CHECK((*found)->id == token_id);

    for (const auto& gone :
         {no(12135, "access.api.error.not_found"), std::string{R"({"success":false,"errors":[]})"}}) {
        b.wire.expect(method::get, url).answers(404, gone);
        auto nothing = run(b.io, b.api.get_token(token_id));
        REQUIRE(nothing);
        CHECK_FALSE(nothing->has_value());
    }
    for (const auto& unclear : {no(7003, "Could not route"), std::string{"<html>not here</html>"}}) {
        b.wire.expect(method::get, url).answers(404, unclear);
        CHECK_FALSE(run(b.io, b.api.get_token(token_id)));
    }
    b.wire.expect(method::get, url).answers(200, ok(token("another")));
    CHECK(run(b.io, b.api.get_token(token_id)).error().kind == error_kind::unavailable);
}

TEST_CASE("updating and deleting a token") {
    bench b;
    auto url = tokens + "/" + token_id;
    provider::cloudflare::token_changes renew{{}, "8760h", {}, {}};
    b.wire.expect(method::put, url).with_body(R"({"duration":"8760h"})").answers(200, ok(token(token_id)));
    CHECK(run(b.io, b.api.update_token(token_id, renew)));
    provider::cloudflare::token_changes disable{"n-" + token_id, {}, false, {}};
    b.wire.expect(method::put, url)
        .with_body(R"({"name":"n-)" + token_id + R"(","enabled":false})")
        .answers(200, ok(token(token_id, R"(,"enabled":false)")));
    CHECK(run(b.io, b.api.update_token(token_id, disable)));

    b.wire.expect(method::delete_, url).answers(200, ok(token(token_id)));
    CHECK(run(b.io, b.api.delete_token(token_id)));
    b.wire.expect(method::delete_, url).answers(204);
    CHECK(run(b.io, b.api.delete_token(token_id)));
    b.wire.expect(method::delete_, url).answers(404, no(12135, "not_found"));
    CHECK(run(b.io, b.api.delete_token(token_id)));
    b.wire.expect(method::delete_, url).answers(400, no(12139, "service_token_in_use: cannot delete"));
    CHECK(run(b.io, b.api.delete_token(token_id)).error().code == "12139");
}

TEST_CASE("a change of a token that is accepted and not made is refused, not asked for again and again") {
    bench b;
    auto url = tokens + "/" + token_id;
    auto update = [&](provider::cloudflare::token_changes changes, const std::string& answer) {
        b.wire.expect(method::put, url).answers(200, ok(answer));
        return run(b.io, b.api.update_token(token_id, std::move(changes)));
    };
    auto is_told = [](const result<domain::live_token>& came, const std::string& words) {
        REQUIRE_FALSE(came);
        CAPTURE(came.error().what);
        CHECK(came.error().kind == error_kind::refused);
        CHECK(came.error().what.find(words) != std::string::npos);
    };
    is_told(update({{}, "24h", {}, {}}, token(token_id)), "duration 24h was asked for, 8760h came back");
    is_told(update({{}, {}, false, {}}, token(token_id, R"(,"enabled":true)")),
            "enabled false was asked for, true came");
    is_told(update({"new\u001b", {}, {}, {}}, token(token_id)), "name new\\x1b was asked for, n-" + token_id + " came");

    const auto bare = R"({"id":")" + token_id + R"(","client_id":"c.access"})";
    CHECK(update({"new", "24h", false, {}}, bare));
    CHECK(update({{}, {}, false, {}}, token(token_id)));
    CHECK(update({{}, "8760h", {}, {}}, R"({"id":")" + token_id + R"(","client_id":"c","duration":"8760h0m0s"})"));
}

TEST_CASE("the API token's own state, asked at the account's route first") {
    bench b;
    auto of_account = account + "/tokens/verify";
    const std::string of_user = "/client/v4/user/tokens/verify";
    b.wire.expect(method::get, of_account)
        .answers(200, ok(R"({"id":"i","status":"active","expires_on":"2027-01-01T00:00:00Z"})"));
    auto status = run(b.io, b.api.verify());
    REQUIRE(status);
    CHECK(status->status == "active");
    CHECK(status->expires_on == parse_instant("2027-01-01T00:00:00Z"));

    b.wire.expect(method::get, of_account).answers(401, no(1000, "Invalid API Token"));
    b.wire.expect(method::get, of_user).answers(200, ok(R"({"id":"i","status":"disabled"})"));
    CHECK(run(b.io, b.api.verify())->status == "disabled");

    b.wire.expect(method::get, of_account).answers(503, "no");
    CHECK(run(b.io, b.api.verify()).error().kind == error_kind::unavailable);
}

TEST_CASE("strict authentication, where it may be read") {
    bench b;
    auto url = account + "/access/organizations";
    b.wire.expect(method::get, url).answers(200, ok(R"({"strict_service_token_auth":true})"));
    CHECK(run(b.io, b.api.strict()).value());
    b.wire.expect(method::get, url).answers(200, ok(R"({"name":"x"})"));
    CHECK_FALSE(run(b.io, b.api.strict()).value());
    b.wire.expect(method::get, url).answers(403, no(10000, "Authentication error"));
    CHECK_FALSE(run(b.io, b.api.strict()).value());
    b.wire.expect(method::get, url).answers(500, "");
    CHECK_FALSE(run(b.io, b.api.strict()));
}

TEST_CASE("the remote's clock is compared with ours") {
    bench b;
    testing::settable_clock clock;
    provider::cloudflare api{b.wire, base, "acc", secret{"key-of-the-account"}, &clock};
    CHECK_FALSE(api.skew());
    clock.set(*parse_instant("2026-11-23T10:00:00Z"));
    b.wire.expect(method::get, page(1)).answers(200, ok("[]"), {{"Date", "Mon, 23 Nov 2026 10:01:30 GMT"}});
    CHECK(run(b.io, api.list_tokens()));
    CHECK(api.skew() == std::chrono::seconds{90});
}

TEST_CASE("a key that was read again is used from the next call on") {
    bench b;
    b.api.use(secret{"another-key"});
    b.wire.expect(method::get, page(1)).with_header("Authorization", "Bearer another-key").answers(200, ok("[]"));
    CHECK(run(b.io, b.api.list_tokens()));
}

} // namespace cloudflare_test
