#include "net/name_cache.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <map>

namespace postern::net {

namespace asio = boost::asio;
using boost::system::error_code;
using steady = std::chrono::steady_clock;

lookup system_lookup(asio::any_io_executor executor) {
    return [executor](std::string host, std::function<void(error_code, addresses)> done) {
        auto resolver = std::make_shared<asio::ip::tcp::resolver>(executor);
        // It keeps the resolver: destroying it would abort the lookup.
        auto resolved = [resolver, done = std::move(done)](error_code ec, const auto& entries) {
            addresses found;
            for (const auto& entry : entries)
                found.push_back(entry.endpoint().address());
            done(ec, std::move(found));
        };
        resolver->async_resolve(host, "", std::move(resolved));
    };
}

namespace {

struct entry {
    addresses found;
    asio::ip::address preferred;
    error_code failure;
    steady::time_point fresh_until;
    bool asking = false;
    unsigned answered = 0;
    std::vector<std::shared_ptr<asio::steady_timer>> waiting;
};

void put_first(addresses& list, const asio::ip::address& one) {
    if (auto at = std::find(list.begin(), list.end(), one); at != list.end())
        std::rotate(list.begin(), at, at + 1);
}

} // namespace

struct name_cache::state {
    lookup ask;
    duration keep;
    std::map<std::string, entry> entries;

    void learn(const std::string& host, error_code ec, addresses found) {
        auto& e = entries[host];
        e.asking = false;
        ++e.answered;
        e.failure = ec;
        if (!ec && !found.empty()) {
            e.found = std::move(found);
            put_first(e.found, e.preferred);
            e.fresh_until = steady::now() + keep;
        }
        for (const auto& timer : std::exchange(e.waiting, {}))
            timer->cancel();
    }
};

name_cache::name_cache(lookup ask, duration keep) : state_(std::make_shared<state>()) {
    state_->ask = std::move(ask);
    state_->keep = keep;
}

void name_cache::forget(const std::string& host) {
    if (auto at = state_->entries.find(host); at != state_->entries.end())
        at->second.fresh_until = {};
}

void name_cache::prefer(const std::string& host, const asio::ip::address& address) {
    if (auto at = state_->entries.find(host); at != state_->entries.end()) {
        at->second.preferred = address;
        put_first(at->second.found, address);
    }
}

asio::awaitable<name_cache::answer> name_cache::find(std::string host, steady::time_point deadline) {
    answer out;
    error_code not_digits;
    auto digits = asio::ip::make_address(host, not_digits);
    if (!not_digits) {
        out.found.push_back(digits);
        co_return out;
    }
    auto shared = state_;
    auto& e = shared->entries[host];
    if (!e.found.empty() && steady::now() < e.fresh_until) {
        out.found = e.found;
        co_return out;
    }
    auto timer = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor, deadline);
    e.waiting.push_back(timer);
    auto before = e.answered;
    if (!e.asking) {
        e.asking = true;
        std::weak_ptr<state> whoever_still_asks = shared;
        shared->ask(host, [whoever_still_asks, host](error_code ec, addresses found) {
            if (auto alive = whoever_still_asks.lock())
                alive->learn(host, ec, std::move(found));
        });
    }
    co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
    std::erase(e.waiting, timer);
    out.found = e.found;
    if (!e.found.empty())
        co_return out;
    if (e.answered != before)
        out.ec = e.failure ? e.failure : error_code{asio::error::host_not_found};
    else
        out.ec = steady::now() < deadline ? asio::error::operation_aborted : asio::error::timed_out;
    co_return out;
}

} // namespace postern::net
