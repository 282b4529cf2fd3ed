#include "cli/journal_print.hpp"

#include "base/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>

namespace postern::cli {

namespace json = boost::json;

using run::journal_entry;

namespace {

using columns = std::array<std::string, 5>;

columns columns_of(const journal_entry& e) {
    return {format_instant(e.at), printable(e.holder) + "/" + std::to_string(e.epoch), printable(e.resource),
            printable(e.action), printable(e.target)};
}

std::string details(const journal_entry& e) {
    std::string out;
    auto line = [&](const std::string& text) { out += "    " + text + "\n"; };
    if (!e.before.empty() || !e.after.empty())
        line("from " + (e.before.empty() ? "nothing" : printable(e.before)) + " to " +
             (e.after.empty() ? "nothing" : printable(e.after)));
    if (!e.failure.empty())
        line("failed: " + printable(e.failure));
    if (!e.requests.empty())
        line("requests: " + printable(join(e.requests, ", ")));
    return out;
}

} // namespace

std::string journal_text(const std::vector<journal_entry>& entries) {
    std::array<std::size_t, 5> widths{};
    for (const auto& e : entries) {
        const auto cells = columns_of(e);
        for (std::size_t i = 0; i < cells.size(); ++i)
            widths[i] = std::max(widths[i], cells[i].size());
    }
    std::string out;
    for (const auto& e : entries) {
        auto cells = columns_of(e);
        for (std::size_t i = 0; i < cells.size(); ++i) {
            cells[i].resize(widths[i], ' ');
            out += cells[i] + "  ";
        }
        out += "# " + printable(e.reason) + (e.words.empty() ? "" : ": " + printable(e.words)) + "\n" + details(e);
    }
    return out;
}

std::string journal_document(const std::vector<journal_entry>& entries) {
    json::array list;
    for (const auto& e : entries) {
        list.push_back(json::object{{"at", format_instant(e.at)},
                                    {"epoch", e.epoch},
                                    {"number", e.number},
                                    {"holder", e.holder},
                                    {"revision", e.revision},
                                    {"pass", e.pass},
                                    {"resource", e.resource},
                                    {"action", e.action},
                                    {"target", e.target},
                                    {"reason", e.reason},
                                    {"words", e.words},
                                    {"before", e.before},
                                    {"after", e.after},
                                    {"requests", json::array(e.requests.begin(), e.requests.end())},
                                    {"failure", e.failure}});
    }
    return json::serialize(json::object{{"entries", std::move(list)}}) + "\n";
}

} // namespace postern::cli
