#include "run/lease.hpp"
#include "store/virtual_leases.hpp"

#include <doctest/doctest.h>

#include <random>

namespace lease_test {

// Who leads, in virtual time: processes that are killed, stopped or cut off from the store.

namespace {

using namespace postern;
using namespace postern::testing;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr duration ttl = seconds{15};

} // namespace

TEST_CASE("one takes a free lease at once and keeps it for as long as it lives") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(milliseconds{100});
    CHECK(one.leads());
    CHECK(one.heard == std::vector<std::string>{"gained 1"});
    world.pass(minutes{10});
    CHECK(one.leads());
    CHECK(one.heard.size() == 1);
    // each third of the lease's time
    CHECK(world.row.beat == doctest::Approx(121).epsilon(0.05));
}

TEST_CASE("a holder that is killed is followed within the lease's time, whenever it dies") {
    for (int after = 0; after < 60; ++after) {
        lease_world world;
        auto& one = world.add("one");
        world.pass(seconds{2});
        auto& two = world.add("two");
        world.pass(minutes{1} + milliseconds{100} * after);
        REQUIRE(one.leads());
        one.kill();
        const auto died = world.now();
        while (!two.leads() && world.now() - died < minutes{1})
            world.pass(milliseconds{100});
        CHECK(world.now() - died <= ttl);
        CHECK(two.lease.epoch() == 2);
    }
}

TEST_CASE("of many candidates one follows") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{1});
    for (const auto* name : {"two", "three", "four", "five"})
        world.add(name);
    world.pass(seconds{20});
    CHECK(one.leads());
    one.kill();
    world.pass(ttl);
    CHECK(world.leaders() == 1);
    world.pass(minutes{5});
    CHECK(world.leaders() == 1);
    CHECK(world.row.epoch == 2);
}

TEST_CASE("a lease that is given back is taken within a second") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{1});
    auto& two = world.add("two");
    world.pass(seconds{10});
    one.release();
    CHECK_FALSE(one.lease.may_write());
    world.pass(milliseconds{1100});
    CHECK(two.leads());
    CHECK(one.ended);
    CHECK(one.heard == std::vector<std::string>{"gained 1"});
    two.release();
    world.pass(seconds{1});
    CHECK(world.row.holder.empty());
    CHECK(two.ended);
}

TEST_CASE("a lease that comes while it is being released is given back") {
    lease_world world;
    auto& one = world.add("one");
    one.link.delay = seconds{2};
    world.pass(milliseconds{3000}); // the row was read, its taking is under way
    CHECK_FALSE(one.leads());
    one.release();
    world.pass(seconds{10});
    CHECK(one.ended);
    CHECK(one.heard.empty());
    CHECK(world.row.holder.empty());
}

TEST_CASE("a namesake's row is somebody else's") {
    lease_world world;
    auto& before = world.add("worker.1");
    world.pass(seconds{6});
    REQUIRE(before.leads());
    before.kill();
    auto& after = world.add("worker.1");
    world.pass(seconds{13});
    CHECK_FALSE(after.leads());
    world.pass(seconds{2});
    CHECK(after.leads());
    CHECK(after.lease.epoch() == 2);
}

TEST_CASE("a store that is gone for a while costs nothing") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{6});
    world.down = true;
    world.pass(seconds{8});
    CHECK(one.leads());
    world.down = false;
    world.pass(seconds{2});
    CHECK(one.leads());
    world.pass(minutes{1});
    CHECK(one.lease.epoch() == 1);
    CHECK(one.troubles > 0);
}

TEST_CASE("a store that is gone for longer costs the lease, which is had again when it is back") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{6});
    world.down = true;
    world.pass(milliseconds{9200});
    CHECK_FALSE(one.lease.may_write());
    world.pass(seconds{2});
    CHECK(one.heard == std::vector<std::string>{"gained 1", "lost: it could not be renewed in time"});
    CHECK(one.lease.epoch() == 0);
    world.pass(minutes{5});
    world.down = false;
    world.pass(seconds{2});
    CHECK(one.leads());
    CHECK(one.lease.epoch() == 2);
}

TEST_CASE("who alone is cut off from the store is followed by one who is not") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{1});
    auto& two = world.add("two");
    world.pass(seconds{5});
    one.link.down = true;
    world.pass(seconds{16});
    CHECK(two.leads());
    CHECK(one.heard.back() == "lost: it could not be renewed in time");
    one.link.down = false;
    world.pass(minutes{1});
    CHECK(two.leads());
    CHECK(world.leaders() == 1);
}

TEST_CASE("an answer that never comes does not hide that the lease is over") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{6});
    one.link.delay = minutes{10};
    world.pass(seconds{11});
    CHECK_FALSE(one.lease.may_write());
    CHECK(one.heard.back() == "lost: it could not be renewed in time");
}

TEST_CASE("a renewal that is answered too late renews nothing") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{6});
    one.link.delay = seconds{11};
    world.pass(seconds{12});
    CHECK_FALSE(one.lease.may_write());
    one.link.delay = milliseconds{100};
    world.pass(seconds{15});
    CHECK(one.leads());
    CHECK(one.lease.epoch() >= 2);
}

TEST_CASE("a holder that was stopped finds out before it writes") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{1});
    auto& two = world.add("two");
    world.pass(seconds{20});
    one.stopped = true;
    world.pass(seconds{20});
    REQUIRE(two.leads());
    CHECK(one.lease.epoch() == 1); // it knows of nothing yet
    CHECK_FALSE(one.lease.may_write());
    one.stopped = false;
    world.pass(seconds{3});
    CHECK(one.heard.back() == "lost: it could not be renewed in time");
    world.pass(minutes{1});
    CHECK(two.leads());
    CHECK(world.leaders() == 1);
}

TEST_CASE("a holder that was stopped with nobody beside it goes on under a new epoch") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{20});
    one.stopped = true;
    world.pass(minutes{60});
    CHECK_FALSE(one.lease.may_write());
    one.stopped = false;
    world.pass(seconds{3});
    CHECK(one.leads());
    CHECK(one.heard == std::vector<std::string>{"gained 1", "lost: it could not be renewed in time", "gained 2"});
}

TEST_CASE("a row that somebody took, or a store that was made anew, is a loss") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{6});
    SUBCASE("taken") {
        world.row.holder = "an impostor";
        ++world.row.epoch;
    }
    SUBCASE("made anew") {
        world.row = {};
    }
    world.pass(seconds{6});
    CHECK(one.heard[1] == "lost: another controller took it");
    world.pass(seconds{15});
    CHECK(one.leads());
}

TEST_CASE("the holder hears that a pass is wanted, once for each time") {
    lease_world world;
    auto& one = world.add("one");
    world.pass(seconds{1});
    auto& two = world.add("two");
    world.pass(seconds{6});
    ++world.row.wanted;
    world.pass(seconds{6});
    CHECK(one.heard == std::vector<std::string>{"gained 1", "wanted"});
    world.pass(minutes{1});
    CHECK(one.heard.size() == 2);
    CHECK(two.heard.empty());
}

TEST_CASE("whatever happens, two never may write at once") {
    for (unsigned seed = 0; seed < 12; ++seed) {
        std::mt19937 dice{seed};
        auto roll = [&dice](unsigned sides) { return static_cast<unsigned>(dice() % sides); };
        lease_world world;
        std::vector<lease_process*> all;
        for (const auto* name : {"one", "two", "three"})
            all.push_back(&world.add(name));
        duration led{};
        for (int step = 0; step < 300; ++step) {
            auto& any = *all[roll(3)];
            switch (roll(6)) {
            case 0:
                any.stopped = !any.stopped;
                break;
            case 1:
                any.link.down = !any.link.down;
                break;
            case 2:
                any.link.delay = milliseconds{roll(4) * 3000};
                break;
            case 3:
                world.down = roll(4) == 0;
                break;
            default:
                any.stopped = any.link.down = world.down = false;
                any.link.delay = milliseconds{0};
                break;
            }
            world.pass(milliseconds{100 * (1 + roll(120))}); // it looks after each tenth of a second
            led += world.leaders() == 1 ? seconds{1} : seconds{0};
        }
        CHECK_MESSAGE(world.most_leaders == 1, seed);
        CHECK_MESSAGE(led > seconds{50}, seed);
    }
}

} // namespace lease_test
