#include "net/gate.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <list>

namespace postern::net {

namespace asio = boost::asio;

namespace {

struct waiter {
    asio::steady_timer wake;
    int rank = 0;
    std::size_t extra = 0;
    bool called = false;  // holds a place
    bool entered = false; // and knows it
};

} // namespace

struct gate::state {
    std::size_t places = 0;
    std::size_t inside = 0;
    std::list<waiter*> queue;

    // A place goes over without becoming free in between: nobody overtakes.
    void call() {
        while (!queue.empty() && inside < places + queue.front()->extra) {
            auto* next = queue.front();
            queue.pop_front();
            ++inside;
            next->called = true;
            next->wake.cancel();
        }
    }
    void leave() {
        --inside;
        call();
    }
    void join(waiter* who) {
        auto at = std::find_if(queue.begin(), queue.end(), [&](const waiter* w) { return w->rank > who->rank; });
        queue.insert(at, who);
    }
};

gate::gate(std::size_t places) : state_(std::make_shared<state>()) {
    state_->places = places;
}

void gate::resize(std::size_t places) {
    state_->places = places;
    state_->call();
}

gate::pass gate::admit(std::shared_ptr<state> to) {
    pass out;
    auto* raw = to.get();
    out.held_ = std::shared_ptr<void>(raw, [to = std::move(to)](void*) { to->leave(); });
    return out;
}

gate::pass gate::try_enter(std::size_t extra) {
    if (state_->inside >= state_->places + extra)
        return {};
    ++state_->inside;
    return admit(state_);
}

asio::awaitable<gate::pass> gate::enter(std::chrono::steady_clock::time_point deadline, int rank, std::size_t extra) {
    auto door = state_;
    if (auto free = try_enter(extra))
        co_return free;
    auto executor = co_await asio::this_coro::executor;
    waiter self{asio::steady_timer{executor, deadline}, rank, extra};
    // Removes itself also where the coroutine is destroyed while it waits.
    struct place_in_queue {
        std::shared_ptr<state> door;
        waiter* self;
        place_in_queue(std::shared_ptr<state> d, waiter* w) : door(std::move(d)), self(w) { door->join(w); }
        ~place_in_queue() {
            door->queue.remove(self);
            if (self->called && !self->entered)
                door->leave();
        }
        place_in_queue(const place_in_queue&) = delete;
        place_in_queue& operator=(const place_in_queue&) = delete;
    };
    place_in_queue mine{door, &self};
    co_await self.wake.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!self.called)
        co_return pass{};
    self.entered = true;
    co_return admit(std::move(door));
}

} // namespace postern::net
