#include "cli/documents.hpp"
#include "cli/perform.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"

#include <iostream>

namespace postern::cli {

int apply(const options& asked) {
    auto wanted = load_documents(asked);
    if (!wanted)
        return code::error;
    session here{asked, *wanted};
    if (auto why = here.unusable()) {
        std::cerr << why->message() << '\n';
        return code::error;
    }
    return perform(asked, here, *wanted).code;
}

} // namespace postern::cli
