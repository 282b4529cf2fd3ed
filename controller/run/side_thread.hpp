#pragma once

#include "base/instant.hpp"

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>

// Runs one blocking call at a time on a thread of its own, and does not wait for it longer than it may take.
namespace postern::run {

class side_thread {
public:
    enum class outcome {
        ended,
        left,      // it went on after it was cut, and may still run: what it uses must outlive it
        busy,      // an earlier call that was left still runs; or no thread can be had: this one was not begun
        cancelled, // the caller was; the call was cut
    };

    side_thread();
    // Cuts a call that runs and gives it a moment to end.
    ~side_thread();
    side_thread(const side_thread&) = delete;
    side_thread& operator=(const side_thread&) = delete;

    // `call` runs on the thread and owns what it uses. `cut` is called here, where it takes longer than `limit`, and
    // makes it end soon. A second caller waits for the first. For one thread.
    boost::asio::awaitable<outcome> run(std::function<void()> call, std::function<void()> cut, duration limit);

private:
    struct errand;
    boost::asio::awaitable<outcome> run_undisturbed(std::function<void()> call, std::function<void()> cut,
                                                    duration limit);

    std::shared_ptr<errand> current_;
};

} // namespace postern::run
