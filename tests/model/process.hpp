#pragma once

#include "domain/next.hpp"
#include "model/world.hpp"

#include <optional>
#include <set>
#include <string>
#include <variant>

// One process of Postern, as far as it matters: what it has in memory, and how it reads the world and turns a step into
// a write. It checks what the real one checks before it writes and reads back what the real one reads back
// (controller/run/gather, execute); it decides nothing.
namespace postern::model {

struct process {
    observed world;
    std::set<std::string> ring; // credentials whose secrets it has seen
    int idle_readings = 0;      // since something last changed for the better
    instant give_up{};          // no waiting beyond this
    bool outdated = false;      // somebody else changed something since it read the world
};

// What a reading of the world may miss.
enum class blindness { none, no_tokens, lacks_a_token, vault_fails, app_fails, account_fails, end_ };
const char* words_of(blindness b);

process new_process(int number);
void gather(process& p, const desired& wanted, const remotes& r, instant now, blindness missing = blindness::none);

// What a process does before it writes: either it is done with that, or there is a request to be sent.
std::variant<outcome, request> send(process& p, const step& s, remotes& r, instant now);

// The outcome once the write has landed: whatever the real one reads back is read back.
outcome finish(const step& s, outcome came, const remotes& r);

// Takes the outcome in, as a pass does.
void take_in(process& p, const step& s, const outcome& came, instant now);

} // namespace postern::model
