#include "cli/journal_print.hpp"
#include "cli/store_address.hpp"
#include "cli/verbs.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <optional>
#include <utility>

namespace postern::cli {

namespace asio = boost::asio;

int show_journal(const options& asked) {
    auto opened = open_existing_store(asked);
    if (!opened) {
        std::cerr << opened.error().message() << '\n';
        return code::error;
    }
    auto since = asked.since;
    if (asked.since_ago)
        since = std::chrono::floor<duration>(std::chrono::system_clock::now()) - *asked.since_ago;
    asio::io_context io{1};
    std::optional<result<std::vector<run::journal_entry>>> read;
    std::exception_ptr thrown;
    auto ended = [&](std::exception_ptr why, auto entries) {
        thrown = why;
        read = std::move(entries);
    };
    asio::co_spawn(io, opened.value()->read_journal(since, asked.limit), ended);
    io.run();
    if (thrown)
        std::rethrow_exception(thrown);
    if (!*read) {
        std::cerr << read->error().message() << '\n';
        return code::error;
    }
    std::cout << (asked.form == output::json ? journal_document(read->value()) : journal_text(read->value()));
    return code::fine;
}

} // namespace postern::cli
