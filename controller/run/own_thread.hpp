#pragma once

#include "base/error.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

// One thread for a library that blocks. Jobs run there in the order in which they were asked for; whoever asked goes on
// on its own executor. A job that nobody waits for any more (its coroutine was cancelled or destroyed) still runs to
// its end.
namespace postern::run {

class own_thread {
public:
    // `cut` is called, from the asker's thread, where a job and those before it have taken longer than `patience`: it
    // makes whatever the job waits for end. It is called again after as long again.
    own_thread(std::chrono::steady_clock::duration patience, std::function<void()> cut)
        : patience_(patience), cut_(std::move(cut)) {}
    // Waits for what was asked for, and does not let it take its time.
    ~own_thread() {
        cut_();
        thread_.join();
    }
    own_thread(const own_thread&) = delete;
    own_thread& operator=(const own_thread&) = delete;

    // What `job` returns, which is a result; an error of kind `cancelled` where the coroutine was cancelled meanwhile.
    // What it throws comes out here.
    template<class Job>
    boost::asio::awaitable<std::invoke_result_t<Job&>> run(Job job) {
        namespace asio = boost::asio;
        using outcome = std::invoke_result_t<Job&>;
        auto executor = co_await asio::this_coro::executor;
        asio::steady_timer waiting{executor};
        auto desk = std::make_shared<handover<outcome>>();
        desk->waiting = &waiting;
        const leaving at_the_end{*desk};
        auto work = [desk, executor, job = std::move(job)]() mutable {
            std::optional<outcome> out;
            std::exception_ptr thrown;
            try {
                out.emplace(job());
            } catch (...) {
                thrown = std::current_exception();
            }
            const std::lock_guard hold{desk->lock};
            desk->out = std::move(out);
            desk->thrown = thrown;
            auto tell = [desk] {
                desk->done = true;
                if (desk->waiting)
                    desk->waiting->cancel();
            };
            if (desk->waiting)
                asio::post(executor, std::move(tell));
        };
        asio::post(thread_, std::move(work));
        while (!desk->done) {
            waiting.expires_after(patience_);
            auto token = asio::as_tuple(asio::use_awaitable);
            auto [ended] = co_await waiting.async_wait(token);
            if (desk->done)
                break;
            if (ended)
                co_return error{.kind = error_kind::cancelled,
                                .where = {},
                                .what = "the answer is not waited for any longer",
                                .code = {},
                                .retry_after = {}};
            cut_();
        }
        if (desk->thrown)
            std::rethrow_exception(desk->thrown);
        co_return std::move(*desk->out);
    }

private:
    template<class T>
    struct handover {
        std::mutex lock;
        boost::asio::steady_timer* waiting = nullptr; // of the coroutine that waits; null once it has left
        std::optional<T> out;
        std::exception_ptr thrown;
        bool done = false; // the asker's thread alone looks at it
    };

    template<class T>
    struct leaving {
        handover<T>& desk;
        ~leaving() {
            const std::lock_guard hold{desk.lock};
            desk.waiting = nullptr;
        }
    };
    template<class T>
    leaving(handover<T>&) -> leaving<T>;

    std::chrono::steady_clock::duration patience_;
    std::function<void()> cut_;
    boost::asio::thread_pool thread_{1};
};

} // namespace postern::run
