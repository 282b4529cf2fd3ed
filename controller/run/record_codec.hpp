#pragma once

#include "base/error.hpp"
#include "domain/record.hpp"
#include "run/key_ring.hpp"

#include <string>
#include <string_view>

// What Postern keeps in its own folder of the vault, as text: a token's record, and the folder's own key. Keys come in
// one fixed order, so that equal records are equal texts. Reading takes any field it does not know and none of another
// format version: a newer Postern's notes are not for an older one to rewrite. crds-like-schemas/record.json is the
// published form.
namespace postern::run {

std::string to_text(const domain::record& r);
// An error of kind `refused` that says what is wrong, and quotes nothing. Its code is clobbered_code where the text is
// nothing that any Postern wrote, so that the record may be rebuilt.
inline constexpr std::string_view clobbered_code = "clobbered";
result<domain::record> record_from(std::string_view text);

// The folder's own key.
inline constexpr std::string_view own_key = "postern";

secret to_text(const key_ring::installation& i);
result<key_ring::installation> installation_from(const secret& text);

} // namespace postern::run
