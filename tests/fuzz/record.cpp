#include "run/record_codec.hpp"
#include "target.hpp"

// The vault's record: what was read and is written again is the same text from then on.
void postern::fuzz::try_input(std::string_view input) {
    if (const auto read = run::record_from(input)) {
        const auto text = run::to_text(*read);
        const auto again = run::record_from(text);
        hold(again && run::to_text(*again) == text, "a record reads as it was written");
    }
    if (const auto own = run::installation_from(secret{input})) {
        const auto text = run::to_text(*own);
        const auto again = run::installation_from(text);
        hold(again && same(run::to_text(*again), text), "the folder's key reads as it was written");
    }
}
