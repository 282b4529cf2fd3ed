#pragma once

#include "model/state.hpp"

#include <optional>
#include <string>

// What must hold whatever happens. Each says in words how it was broken.
namespace postern::model {

// Of one move: nobody who was let in is refused by it; nobody is given what does not pass; no credential that still
// works loses its last copy; a write-once key never changes; a promised overlap is kept; what is not ours stays.
std::optional<std::string> broken_by(const setting& in, const state& before, const state& after, const move& m);

// Of one state: no token of ours that nothing leads back to, and no third one in use.
std::optional<std::string> broken_in(const setting& in, const state& s);

// Why this is not what the documents ask for; nothing where it is.
std::optional<std::string> lacks(const setting& in, const state& s);

// Who is refused, for whatever reason.
std::optional<std::string> refuses(const setting& in, const state& s);

// Whether it waits for a person, and rightly so.
bool is_excused(const setting& in, const state& s);

} // namespace postern::model
