#pragma once

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <memory>

// A door that lets so many through at a time; the others wait by rank, and within one in the order in which they came.
// For one thread.
namespace postern::net {

class gate {
    struct state;

public:
    // A place behind the door, given back when this goes. Empty where none was had.
    class pass {
    public:
        pass() = default;
        explicit operator bool() const { return held_ != nullptr; }

    private:
        friend class gate;
        std::shared_ptr<void> held_;
    };

    explicit gate(std::size_t places);

    // Without waiting: empty where all places are taken. Whoever may have one `extra` finds a place more.
    pass try_enter(std::size_t extra = 0);

    // An empty pass where `deadline` came first or the caller was cancelled. The lowest rank goes first.
    boost::asio::awaitable<pass> enter(std::chrono::steady_clock::time_point deadline, int rank = 0,
                                       std::size_t extra = 0);

    // From now on so many at a time; whoever is inside stays.
    void resize(std::size_t places);

private:
    static pass admit(std::shared_ptr<state> to);

    std::shared_ptr<state> state_;
};

} // namespace postern::net
