#pragma once

#include "run/lease.hpp"
#include "support/settable_clock.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <list>
#include <string>
#include <utility>
#include <vector>

// Several processes that want one lease, in one virtual time. A process that is stopped or killed does not run, while
// its time goes on.
namespace postern::testing {

// One process's way to the row that all share.
struct row_link final : run::store {
    run::lease_row& row;
    const bool& all_down;
    net::clock& time;
    bool down = false;
    duration delay{}; // until the answer: what was asked for happens half-way

    row_link(run::lease_row& shared, const bool& everybody, net::clock& clock)
        : row(shared), all_down(everybody), time(clock) {}

    template<class T>
    boost::asio::awaitable<result<T>> answer(std::function<T()> act) {
        co_await time.sleep_for(delay / 2);
        if (down || all_down)
            co_return error{error_kind::unavailable, "store", "gone", 0, {}, {}};
        auto out = act();
        co_await time.sleep_for(delay / 2);
        co_return out;
    }

    boost::asio::awaitable<result<run::lease_row>> read_lease() override {
        std::function<run::lease_row()> act = [this] { return row; };
        co_return co_await answer(act);
    }
    boost::asio::awaitable<result<std::optional<run::lease_row>>> take_lease(run::lease_row seen,
                                                                             std::string holder) override {
        std::function<std::optional<run::lease_row>()> act = [this, seen, holder]() -> std::optional<run::lease_row> {
            if (row.holder != seen.holder || row.epoch != seen.epoch || row.beat != seen.beat)
                return std::nullopt;
            row = {holder, row.epoch + 1, row.beat + 1, row.wanted};
            return row;
        };
        co_return co_await answer(act);
    }
    boost::asio::awaitable<result<std::optional<run::lease_row>>> renew_lease(run::lease_row held) override {
        std::function<std::optional<run::lease_row>()> act = [this, held]() -> std::optional<run::lease_row> {
            if (row.holder != held.holder || row.epoch != held.epoch)
                return std::nullopt;
            ++row.beat;
            return row;
        };
        co_return co_await answer(act);
    }
    boost::asio::awaitable<result<void>> release_lease(run::lease_row held) override {
        if (row.holder == held.holder && row.epoch == held.epoch)
            row.holder.clear();
        co_return result<void>{};
    }
    boost::asio::awaitable<result<void>> want_pass() override {
        ++row.wanted;
        co_return result<void>{};
    }

    // A lease asks for none of these.
    boost::asio::awaitable<result<void>> save_troubles(std::int64_t, std::map<std::string, domain::trouble>) override {
        co_return result<void>{};
    }
    boost::asio::awaitable<result<std::map<std::string, domain::trouble>>> load_troubles() override {
        co_return std::map<std::string, domain::trouble>{};
    }
    boost::asio::awaitable<result<void>> save_status(std::int64_t, std::string) override { co_return result<void>{}; }
    boost::asio::awaitable<result<std::string>> load_status() override { co_return std::string{}; }
    boost::asio::awaitable<result<void>> append(std::vector<run::journal_entry>) override { co_return result<void>{}; }
    boost::asio::awaitable<result<std::vector<run::journal_entry>>> read_journal(std::optional<instant>,
                                                                                 std::size_t) override {
        co_return std::vector<run::journal_entry>{};
    }
};

struct lease_process {
    settable_clock clock; // for its sleeps; stands still while the process does
    row_link link;
    std::vector<std::string> heard;
    int troubles = 0;
    bool stopped = false;
    bool killed = false;
    bool ended = false;
    run::lease lease;
    boost::asio::io_context io{1}; // goes first: what waits there uses the rest

    lease_process(const std::string& name, run::lease_row& row, const bool& down, const settable_clock& world)
        : clock(world.now()), link(row, down, clock),
          lease(link, clock,
                {.holder = name,
                 .ttl = std::chrono::seconds{15},
                 .since_boot = [&world] { return world.now().time_since_epoch(); }},
                {.gained = [this](std::int64_t epoch) { heard.push_back("gained " + std::to_string(epoch)); },
                 .lost = [this](const std::string& why) { heard.push_back("lost: " + why); },
                 .wanted = [this] { heard.emplace_back("wanted"); },
                 .troubled = [this](const error&) { ++troubles; }}) {
        auto end = [this](std::exception_ptr why) {
            ended = true;
            if (why)
                std::rethrow_exception(why);
        };
        boost::asio::co_spawn(io, lease.keep(), end);
    }

    bool leads() const { return !killed && lease.may_write(); }
    void kill() { killed = true; }
    void release() {
        auto end = [](std::exception_ptr why) {
            if (why)
                std::rethrow_exception(why);
        };
        boost::asio::co_spawn(io, lease.release(), end);
        io.restart();
        io.poll();
    }
    void run_until(instant now) {
        if (stopped || killed)
            return;
        // What it slept through comes one after the other.
        for (auto next = clock.next_wake(); next && *next < now; next = clock.next_wake()) {
            clock.set(*next);
            io.restart();
            io.poll();
        }
        clock.set(now);
        io.restart();
        io.poll();
    }
};

struct lease_world {
    run::lease_row row;
    bool down = false; // the store, for all
    settable_clock time;
    std::list<lease_process> processes;
    long most_leaders = 0;

    lease_process& add(const std::string& name) { return processes.emplace_back(name, row, down, time); }
    instant now() const { return time.now(); }

    // Whoever is stopped counts: it might wake up at this very moment.
    long leaders() const {
        return std::count_if(processes.begin(), processes.end(), [](const auto& p) { return p.leads(); });
    }

    void pass(duration by) {
        const auto end = now() + by;
        while (now() < end) {
            time.set(std::min(now() + std::chrono::milliseconds{100}, end));
            for (auto& process : processes)
                process.run_until(now());
            most_leaders = std::max(most_leaders, leaders());
        }
    }
};

} // namespace postern::testing
