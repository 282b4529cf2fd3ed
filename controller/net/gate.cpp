#include "net/gate.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <list>

namespace postern::net {

namespace asio = boost::asio;

namespace {

struct waiter {
    asio::steady_timer wake;
    bool called = false;
};

} // namespace

struct gate::state {
    std::size_t free = 0;
    std::list<waiter*> queue;

    void leave() {
        if (queue.empty()) {
            ++free;
            return;
        }
        // The place goes over without becoming free in between: nobody overtakes.
        auto* next = queue.front();
        queue.pop_front();
        next->called = true;
        next->wake.cancel();
    }
};

gate::gate(std::size_t places) : state_(std::make_shared<state>()) {
    state_->free = places;
}

gate::pass gate::admit(std::shared_ptr<state> to) {
    pass out;
    auto* raw = to.get();
    out.held_ = std::shared_ptr<void>(raw, [to = std::move(to)](void*) { to->leave(); });
    return out;
}

asio::awaitable<gate::pass> gate::enter(std::chrono::steady_clock::time_point deadline) {
    auto door = state_;
    if (door->free > 0) {
        --door->free;
        co_return admit(std::move(door));
    }
    waiter self{asio::steady_timer{co_await asio::this_coro::executor, deadline}};
    // Removes itself also where the coroutine is destroyed while it waits.
    struct place_in_queue {
        std::shared_ptr<state> door;
        waiter* self;
        place_in_queue(std::shared_ptr<state> d, waiter* w) : door(std::move(d)), self(w) { door->queue.push_back(w); }
        ~place_in_queue() { door->queue.remove(self); }
        place_in_queue(const place_in_queue&) = delete;
        place_in_queue& operator=(const place_in_queue&) = delete;
    };
    place_in_queue mine{door, &self};
    co_await self.wake.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!self.called)
        co_return pass{};
    co_return admit(std::move(door));
}

} // namespace postern::net
