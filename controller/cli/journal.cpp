#include "cli/journal_print.hpp"
#include "cli/store_address.hpp"
#include "cli/verbs.hpp"
#include "cli/wait_for.hpp"

#include <chrono>
#include <iostream>

namespace postern::cli {

int show_journal(const options& asked) {
    auto opened = open_existing_store(asked);
    if (!opened) {
        std::cerr << opened.error().message() << '\n';
        return code::error;
    }
    auto since = asked.since;
    if (asked.since_ago)
        since = std::chrono::floor<duration>(std::chrono::system_clock::now()) - *asked.since_ago;
    const auto read = wait_for(opened.value()->read_journal(since, asked.limit));
    if (!read) {
        std::cerr << read.error().message() << '\n';
        return code::error;
    }
    std::cout << (asked.form == output::json ? journal_document(read.value()) : journal_text(read.value()));
    return code::fine;
}

} // namespace postern::cli
