#include "base/text.hpp"
#include "domain/judge.hpp"

#include <unordered_set>
#include <utility>

// The Heroku app that this process runs on: setting its config vars restarts it. A crash loses nothing, but what the
// process has in memory and under way is better brought to its end first, so this is done when nothing else is left.
namespace postern::domain {

namespace {

constexpr std::size_t most_named = 3;

} // namespace

bool judge::is_own_app(const std::string& app) const {
    return how_.own_apps.contains(app);
}

// True where the step would restart this process: it is looked at once all else is known. What is only observed
// restarts nobody.
bool judge::sets_aside(const step& s, bool observing) {
    const auto* sent = std::get_if<steps::deliver>(&s.what);
    if (sent == nullptr || own_served_ || observing || how_.observe || !is_own_app(sent->app))
        return false;
    own_.push_back(s);
    return true;
}

void judge::serve_own_app() {
    own_served_ = true;
    if (own_.empty())
        return;
    const auto left = unfinished();
    for (auto& s : std::exchange(own_, {})) {
        if (left.empty()) {
            offer(std::move(s));
            continue;
        }
        const auto& app = std::get<steps::deliver>(s.what).app;
        tell(s.resource, "Delivered", status::false_, reason::own_app_last,
             "app " + app +
                 " is the one that this Postern runs on, and its config vars are set last, because that "
                 "restarts it; before that: " +
                 join(left, "; "),
             weight::waiting);
    }
}

// What is to be done, is under way, or comes right by itself, in words. What waits for a person is not waited for,
// unless it is another delivery. Rotations that wait their turn wait for this one, too.
std::vector<std::string> judge::unfinished() const {
    std::vector<std::string> out;
    std::unordered_set<std::string> told;
    auto add = [&](std::string what) {
        if (told.insert(what).second)
            out.push_back(std::move(what));
    };
    for (const auto& s : out_.steps)
        add(word(s) + " " + s.target);
    if (!busy_.empty())
        add("steps are under way");
    if (out_.refresh || world_.stale)
        add("the world is read again");
    for (const auto& l : lives_) {
        if (l.rec != nullptr && l.rec->pending && world_.minted.contains(l.rec->pending->nonce))
            add("a new credential of " + l.resource() + " is not kept yet");
    }
    for (const auto& c : out_.conditions) {
        const bool moves = c.heft == weight::waiting || c.heft == weight::failed;
        const bool undelivered = c.heft == weight::blocked && c.type == "Delivered";
        if (is_meant(c.resource) && (moves || undelivered) && c.reason != reason::queued)
            add(c.resource + " " + c.reason);
    }
    if (out.size() > most_named) {
        const auto more = out.size() - most_named;
        out.resize(most_named);
        out.push_back("and " + std::to_string(more) + " more");
    }
    return out;
}

} // namespace postern::domain
