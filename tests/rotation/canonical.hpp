#pragma once

#include "reconcile/miniature.hpp"

#include <string>

// The whole state of a miniature cloud as text in which two runs of one story read alike: ids, secrets, fingerprints,
// nonces and instants are replaced by what they are ("the secret of console-self-probe"), lists are sorted, every row
// of the vault is listed. What is left over (a second token, a second row, a key that nobody knows) shows as a line of
// its own.
namespace postern::testing {

std::string canonical(miniature& m);

// The same where an app's release that repeats the one before it counts as one, and so do rows of one name and value.
std::string without_echoes(const std::string& canonical_text);

// The lines of `now` that `before` does not have, marked "+", and the other way round, marked "-".
std::string difference(const std::string& before, const std::string& now);

} // namespace postern::testing
