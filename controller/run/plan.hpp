#pragma once

#include "run/pass.hpp"

#include <optional>
#include <vector>

// What a pass would do, without doing it: the world is read, what can be looked at is looked at, and the rest is the
// unfolding of the same judgement over predicted outcomes. Nothing is ever written.
namespace postern::run {

// The steps that write, in the order in which they come up, as if each went as expected and no time passed.
result<std::vector<domain::step>> unfold(const domain::desired& wanted, const domain::observed& seen,
                                         domain::settings how, instant now);

// What is only observed is judged as the world is, and so tells the next steps alone. This tells where they lead.
void tell_all_observed(std::vector<domain::condition>& conditions, const domain::desired& wanted,
                       const domain::observed& world, domain::settings how, instant now);

struct plan {
    std::vector<domain::step> steps;
    std::vector<domain::condition> conditions; // of the world as it is
    std::optional<instant> wake;               // when time alone will bring more to do
    std::optional<error> failure;              // of the planning itself
    bool interrupted = false;
};

boost::asio::awaitable<plan> make_plan(surroundings around, gatherer& reader, domain::observed& world, net::stop& halt,
                                       progress& watcher, pass_settings settings);

} // namespace postern::run
