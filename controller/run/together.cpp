#include "run/together.hpp"

#include "run/doorbell.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;

asio::awaitable<void> together(std::vector<asio::awaitable<void>> jobs, std::size_t at_once) {
    auto executor = co_await asio::this_coro::executor;
    doorbell done{executor};
    std::size_t started = 0;
    std::size_t running = 0;
    std::exception_ptr thrown;
    auto finished = [&](std::exception_ptr why) {
        --running;
        if (why && !thrown)
            thrown = why;
        done.ring();
    };
    while (running > 0 || (started < jobs.size() && !thrown)) {
        while (started < jobs.size() && running < at_once && !thrown) {
            ++running;
            asio::co_spawn(executor, std::move(jobs[started++]), finished);
        }
        co_await done.wait();
    }
    if (thrown)
        std::rethrow_exception(thrown);
}

} // namespace postern::run
