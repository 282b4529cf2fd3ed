#include "run/side_thread.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

namespace postern::run {

namespace asio = boost::asio;

namespace {

constexpr auto grace = std::chrono::seconds{2};

using bell = std::shared_ptr<asio::steady_timer>;

} // namespace

struct side_thread::errand {
    std::mutex lock;
    std::condition_variable over;
    bool ended = false;
    std::list<bell> waiting; // they belong to the loop's thread, which takes them away before it goes
    std::function<void()> cut;

    bool has_ended() {
        const std::lock_guard held{lock};
        return ended;
    }

    void end() {
        const std::lock_guard held{lock};
        ended = true;
        over.notify_all();
        for (const auto& one : waiting) {
            std::weak_ptr<asio::steady_timer> weak = one;
            auto ring = [weak] {
                if (const auto timer = weak.lock())
                    timer->cancel();
            };
            asio::post(one->get_executor(), std::move(ring));
        }
    }
};

namespace {

// On an errand's list as long as it lives, so that a caller that goes is not rung for.
template<class Errand>
class listener {
public:
    listener(std::shared_ptr<Errand> errand, bell timer) : errand_(std::move(errand)), timer_(std::move(timer)) {
        const std::lock_guard held{errand_->lock};
        errand_->waiting.push_back(timer_);
    }
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;
    ~listener() {
        const std::lock_guard held{errand_->lock};
        errand_->waiting.remove(timer_);
    }

private:
    std::shared_ptr<Errand> errand_;
    bell timer_;
};

// Whether it has ended by then; earlier, without an end, where the caller is cancelled.
template<class Errand>
asio::awaitable<bool> wait_for(std::shared_ptr<Errand> errand, std::chrono::steady_clock::time_point until) {
    auto executor = co_await asio::this_coro::executor;
    auto timer = std::make_shared<asio::steady_timer>(executor, until);
    const listener<Errand> listening{errand, timer};
    while (!errand->has_ended()) {
        auto token = asio::as_tuple(asio::use_awaitable);
        auto [ec] = co_await timer->async_wait(token);
        auto state = co_await asio::this_coro::cancellation_state;
        if (!ec || state.cancelled() != asio::cancellation_type::none)
            break;
    }
    co_return errand->has_ended();
}

template<class Errand>
bool start(std::shared_ptr<Errand> errand, std::function<void()> call) {
    auto body = [errand, call = std::move(call)]() mutable {
        try {
            call();
        } catch (const std::exception&) {
            // It left no result behind, which says enough.
        }
        call = nullptr;
        errand->end();
    };
    try {
        std::thread{std::move(body)}.detach();
    } catch (const std::system_error&) {
        return false;
    }
    return true;
}

} // namespace

side_thread::side_thread() = default;

side_thread::~side_thread() {
    if (!current_)
        return;
    if (current_->cut)
        current_->cut();
    std::unique_lock held{current_->lock};
    current_->over.wait_for(held, grace, [this] { return current_->ended; });
}

asio::awaitable<side_thread::outcome> side_thread::run(std::function<void()> call, std::function<void()> cut,
                                                       duration limit) {
    // Cancellation is asked for, not thrown: the call has to be cut first.
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto how = co_await run_undisturbed(std::move(call), std::move(cut), limit);
    co_await asio::this_coro::throw_if_cancelled(throws);
    co_return how;
}

asio::awaitable<side_thread::outcome> side_thread::run_undisturbed(std::function<void()> call,
                                                                   std::function<void()> cut, duration limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (current_ && !current_->has_ended()) {
        auto before = current_;
        const bool ended = co_await wait_for(before, until);
        auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
            co_return outcome::cancelled;
        if (!ended)
            co_return outcome::busy;
    }
    auto mine = std::make_shared<errand>();
    mine->cut = cut;
    if (!start(mine, std::move(call)))
        co_return outcome::busy;
    current_ = mine;
    bool ended = co_await wait_for(mine, until);
    if (ended)
        co_return outcome::ended;
    cut();
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
        co_return outcome::cancelled;
    ended = co_await wait_for(mine, std::chrono::steady_clock::now() + grace);
    co_return ended ? outcome::ended : outcome::left;
}

} // namespace postern::run
