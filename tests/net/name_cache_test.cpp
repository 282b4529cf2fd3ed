#include "net/name_cache.hpp"
#include "support/harness.hpp"

#include <boost/asio/post.hpp>
#include <doctest/doctest.h>

namespace name_cache_test {

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

const auto first = asio::ip::make_address("192.0.2.1");
const auto second = asio::ip::make_address("192.0.2.2");

// A resolver that answers what it is told to, and counts.
struct told {
    asio::io_context io{1};
    addresses answer{first, second};
    boost::system::error_code ec;
    int asked = 0;
    name_cache names;

    explicit told(duration keep)
        : names(
              [this](const std::string&, auto done) {
                  ++asked;
                  asio::post(io, [done, e = ec, found = answer] { done(e, found); });
              },
              keep) {}
    name_cache::answer find(std::string host) {
        return run(io, names.find(std::move(host), std::chrono::steady_clock::now() + 5s));
    }
};

} // namespace

TEST_CASE("an answer is kept, a failure is not") {
    told resolver{1min};
    resolver.ec = asio::error::host_not_found;
    CHECK(resolver.find("a.example").ec == asio::error::host_not_found);
    resolver.ec = {};
    CHECK(resolver.find("a.example").found.size() == 2);
    CHECK(resolver.find("a.example").found.size() == 2);
    CHECK(resolver.asked == 2);
    resolver.names.forget("a.example");
    (void)resolver.find("a.example");
    CHECK(resolver.asked == 3);
}

TEST_CASE("an answer without an address is a failure") {
    told resolver{1min};
    resolver.answer.clear();
    CHECK(resolver.find("a.example").ec == asio::error::host_not_found);
}

TEST_CASE("an old answer serves where there is no new one") {
    told resolver{0ms};
    (void)resolver.find("a.example");
    resolver.ec = asio::error::host_not_found_try_again;
    auto got = resolver.find("a.example");
    CHECK(resolver.asked == 2);
    CHECK(!got.ec);
    CHECK(got.found == addresses{first, second});
}

TEST_CASE("the address that worked comes first, also after asking again") {
    told resolver{0ms};
    (void)resolver.find("a.example");
    resolver.names.prefer("a.example", second);
    CHECK(resolver.find("a.example").found == addresses{second, first});
    resolver.answer = {first};
    CHECK(resolver.find("a.example").found == addresses{first});
}

TEST_CASE("digits are their own answer") {
    told resolver{1min};
    CHECK(resolver.find("192.0.2.7").found == addresses{asio::ip::make_address("192.0.2.7")});
    CHECK(resolver.find("::1").found == addresses{asio::ip::make_address("::1")});
    CHECK(resolver.asked == 0);
}

} // namespace name_cache_test
