#pragma once

#include "reconcile/scene.hpp"

#include <functional>
#include <string>
#include <vector>

// The stories of the crash matrix: a world, what somebody does to it or asks of it, and the one pass that answers. The
// pass is what a fault is put into; how it would have ended undisturbed is what every disturbed run is held against.
namespace postern::testing {

// The world of one story, fresh for each run of it.
struct story_world : miniature {
    std::string yaml;

    domain::desired wanted() const { return documents(yaml); }
    // A pass that has to come off; throws where it does not.
    void settle();
    // What somebody does on purpose is no refusal of ours.
    void by_hand(const std::function<void()>& change);

    testcloud::application& application(std::string_view host);
    testcloud::policy& own_policy(std::string_view host);
    void remove_policy(std::string_view host);
    testcloud::vault_folder& folder_of(const std::string& path);
    void erase(const std::string& path, const std::string& key);
    void overwrite(const std::string& path, const std::string& key, const std::string& value);
    std::string held_key(const std::string& token); // "<token>.<nonce>", one of them
    testcloud::service_token& token(const std::string& name);
};

struct scenario {
    std::string name;
    std::function<void(story_world&)> prepare; // documents, and the world as the pass finds it
    // Time that passes once all is quiet, before the ends are compared: a rotation in place whose reply was lost is
    // healed by a second token, which shows until the overlap is over.
    duration afterwards{};
};

const std::vector<scenario>& scenarios();

// The last process wrote nothing.
bool idle(const miniature& m);

} // namespace postern::testing
