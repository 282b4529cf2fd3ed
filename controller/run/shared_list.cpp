#include "run/shared_list.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;

namespace {

constexpr int rest_after = 4; // times what the list took
constexpr duration longest_rest = std::chrono::seconds{2};

vault_entries rows_named(const vault_entries& all, const std::string& key) {
    vault_entries out;
    for (const auto& row : all) {
        if (row.key == key)
            out.push_back({row.key, row.value.copy(), row.version, row.hidden});
    }
    return out;
}

} // namespace

// While it lasts nobody else asks; whoever waits at its end asks next.
class shared_list::turn {
public:
    explicit turn(folder* of) : of_(of) { of_->under_way = true; }
    ~turn() {
        of_->under_way = false;
        if (!of_->waiting.empty())
            of_->waiting.front()->bell.ring();
    }
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;

private:
    folder* of_;
};

asio::awaitable<result<vault_entries>> shared_list::rows(provider::infisical* vault, std::string path,
                                                         std::string key) {
    auto executor = co_await asio::this_coro::executor;
    auto& of = folders_[{vault, path}];
    waiter self{doorbell{executor}, std::move(key)};
    of.waiting.push_back(&self);
    // Its place in the queue goes with it, also where asking throws.
    struct leaving {
        folder& of;
        waiter* self;
        ~leaving() {
            of.waiting.remove(self);
            if (!of.under_way && !of.waiting.empty())
                of.waiting.front()->bell.ring();
        }
    } const at_the_end{of, &self};
    while (!self.served) {
        auto next = of.under_way ? self.bell.wait() : ask(vault, path, &of);
        co_await std::move(next);
    }
    co_return std::move(self.rows);
}

// One list, for all who wait when it goes out.
asio::awaitable<void> shared_list::ask(provider::infisical* vault, std::string path, folder* of) {
    const turn mine{of};
    auto nap = clock_.sleep_for(std::min(of->again - clock_.now(), longest_rest));
    co_await std::move(nap);
    const auto for_whom = of->waiting;
    const auto began = std::chrono::steady_clock::now();
    auto listing = vault->list(std::move(path));
    auto all = co_await std::move(listing);
    const auto took = std::chrono::duration_cast<duration>(std::chrono::steady_clock::now() - began);
    if (all.has_value())
        of->again = clock_.now() + std::min(took * rest_after, longest_rest);
    for (auto* one : for_whom) {
        if (all.has_value())
            one->rows = rows_named(all.value(), one->key);
        else
            one->rows = all.error();
        one->served = true;
        one->bell.ring();
        of->waiting.remove(one);
    }
}

} // namespace postern::run
