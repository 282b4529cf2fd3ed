#include "model/explore.hpp"
#include "model/scenes.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

// The core, explored: every order of its steps, every fault at every request, a stranger's hand, a second process.
//   test_model                       the short form, tens of seconds
//   POSTERN_MODEL=full test_model    larger worlds and more faults at a time, many minutes
//   POSTERN_MODEL=NAME test_model    only the configurations whose name contains NAME
namespace postern::model {

namespace {

std::string_view asked_for() {
    const char* text = std::getenv("POSTERN_MODEL");
    return text == nullptr ? std::string_view{} : std::string_view{text};
}

bool is_full() {
    return asked_for() == "full";
}

void hold(const setting& in, const state& first) {
    if (!asked_for().empty() && !is_full() && in.name.find(asked_for()) == std::string::npos)
        return;
    auto found = explore(in, first);
    std::cout << "model: " << std::left << std::setw(44) << in.name << std::right << std::setw(9) << found.states
              << " states" << std::setw(10) << found.moves << " moves" << std::setw(8) << found.ends << " ends, depth "
              << std::setw(3) << found.deepest << std::fixed << std::setprecision(1) << std::setw(8) << found.seconds
              << " s" << std::endl;
    INFO(in.name);
    if (found.violation)
        FAIL_CHECK(*found.violation);
    CHECK(found.states > 0);
}

} // namespace

TEST_CASE("a credential is made") {
    size_of_scene size{1, 1, 1};
    auto in = setting_of("provision, any fault", size);
    in.most.faults = is_full() ? 2 : 1;
    hold(in, nothing_yet(in, size));

    size = {1, 2, 2};
    in = setting_of("provision, 2 applications, 2 apps, any fault", size);
    in.most.faults = 1;
    hold(in, nothing_yet(in, size));

    size = {2, 1, 1};
    in = setting_of("provision, 2 tokens, any fault, 2 detours", size);
    in.most.faults = 1;
    in.any_order = false;
    in.most.detours = 2;
    hold(in, nothing_yet(in, size));
}

TEST_CASE("a credential is replaced") {
    const std::array strategies{std::pair{strategy::replace, "Replace"}, std::pair{strategy::in_place, "InPlace"},
                                std::pair{strategy::renew, "Renew"}};
    for (const auto& [how, word] : strategies) {
        size_of_scene size{1, 1, 1};
        auto in = setting_of(std::string{word} + ", any fault", size);
        in.wanted.tokens.front().how = how;
        in.most.faults = is_full() ? 2 : 1;
        in.most.jumps = 2;
        hold(in, due_for_rotation(in, size));

        size = {1, 2, 2};
        in = setting_of(std::string{word} + ", 2 applications, 2 apps, any fault", size);
        in.wanted.tokens.front().how = how;
        in.most.faults = 1;
        in.most.jumps = 2;
        hold(in, due_for_rotation(in, size));

        size = {1, 1, 1};
        in = setting_of(std::string{word} + ", any edit", size);
        in.wanted.tokens.front().how = how;
        in.most.edits = 1;
        in.most.faults = is_full() ? 1 : 0;
        in.most.jumps = 2;
        hold(in, due_for_rotation(in, size));

        in.name = std::string{word} + ", compromised, any fault";
        in.most.edits = 0;
        in.most.faults = 1;
        auto first = provisioned(in, size);
        first.now += std::chrono::hours{24};
        first.settled = false;
        in.how.requests["probe"] = {first.now, "Compromised", {}, "somebody", false};
        hold(in, first);
    }
}

TEST_CASE("what others do is put right") {
    size_of_scene size{1, 1, 2};
    auto in = setting_of("drift, any edit, any fault", size);
    in.most.edits = 1;
    in.most.faults = 1;
    hold(in, provisioned(in, size));
    in.name = "drift, any two edits";
    in.most.edits = 2;
    in.most.faults = 0;
    hold(in, provisioned(in, size));
}

TEST_CASE("two processes at once") {
    size_of_scene size{1, 1, 1};
    auto in = setting_of("provision, two processes", size);
    in.most.rivals = 1;
    in.most.switches = 3;
    hold(in, nothing_yet(in, size));
    in.name = "provision, two processes, any fault";
    in.most.switches = 2;
    in.most.faults = 1;
    in.overtaking = is_full();
    hold(in, nothing_yet(in, size));
    // No request that lands minutes late: a policy's PUT that does takes out whom another process has put in since,
    // which the next pass mends, and no precondition of the remote's could prevent.
    in.most.faults = 0;
    in.most.switches = 3;
    for (auto how : {strategy::replace, strategy::in_place}) {
        in.name = how == strategy::replace ? "Replace, two processes" : "InPlace, two processes";
        in.wanted.tokens.front().how = how;
        in.most.jumps = 1;
        hold(in, due_for_rotation(in, size));
    }
}

} // namespace postern::model
