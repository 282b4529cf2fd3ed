#include "rotation/matrix.hpp"

#include "rotation/canonical.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <stdexcept>

namespace postern::testing {

using testcloud::fault;
using testcloud::fault_action;

namespace {

constexpr int most_processes = 10;

interference killed(std::string name, bool after) {
    return {std::move(name), [after](story_world& w, std::size_t n) {
                w.dies = [n, after](std::size_t at, bool done) { return at == n && done == after; };
            }};
}

// The process stands still at its nth request while another one does all the work.
interference stopped(std::string name, bool after) {
    return {std::move(name),
            [after](story_world& w, std::size_t n) {
                w.dies = [&w, n, after](std::size_t at, bool done) {
                    if (at == n && done == after) {
                        w.dies = {};
                        until_quiet(w);
                    }
                    return false;
                };
            },
            interference::leaves::echoes};
}

interference meets(std::string name, fault f) {
    return {std::move(name), [f](story_world& w, std::size_t n) {
                auto at_n = f;
                at_n.skip = n - 1;
                w.cloud.trouble.add(at_n);
            }};
}

fault plain(fault_action what, bool after = false) {
    fault f;
    f.what = what;
    f.after = after;
    return f;
}

fault answers(int status, std::string body, bool after = false) {
    auto f = plain(fault_action::answer, after);
    f.status = status;
    f.body = std::move(body);
    if (status == 429)
        f.headers.push_back({"Retry-After", "1"});
    return f;
}

constexpr auto html = "<html><head><title>503 Service Temporarily Unavailable</title></head></html>";
constexpr auto json_error = R"({"success":false,"errors":[{"code":10000,"message":"internal"}],"id":"internal",)"
                            R"("message":"internal","error":"InternalServerError","result":null})";

} // namespace

std::string_view environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string_view{} : value;
}

sample asked_sample() {
    const auto text = environment("POSTERN_MATRIX");
    if (text.empty())
        return {};
    if (text == "full")
        return {1, 0};
    sample out;
    const auto slash = std::min(text.find('/'), text.size() - 1);
    const auto* end = text.data() + text.size();
    const bool fits = std::from_chars(text.data(), text.data() + slash, out.rest).ec == std::errc{} &&
                      std::from_chars(text.data() + slash + 1, end, out.one_in).ec == std::errc{} &&
                      out.rest < out.one_in;
    if (!fits)
        throw std::invalid_argument("POSTERN_MATRIX is \"full\" or K/N with K below N");
    return out;
}

const std::vector<interference>& interferences() {
    static const std::vector<interference> all{
        killed("killed before", false),
        killed("killed after", true),
        stopped("stopped before", false),
        stopped("stopped after", true),
        meets("reply lost", plain(fault_action::drop, true)),
        meets("reset", plain(fault_action::reset)),
        meets("reset, acted", plain(fault_action::reset, true)),
        meets("429", answers(429, json_error)),
        meets("500", answers(500, json_error)),
        meets("500, acted", answers(500, json_error, true)),
        meets("503 HTML", answers(503, html)),
        meets("truncated", plain(fault_action::truncate)),
        meets("timeout", plain(fault_action::hang)),
        meets("timeout, acted", plain(fault_action::hang, true)),
    };
    return all;
}

std::string until_quiet(story_world& w) {
    // What a late request left is swept once nobody can still be about to use it.
    constexpr auto a_while = std::chrono::minutes{2};
    bool later = false;
    for (int i = 0; i < most_processes; ++i) {
        const auto report = w.apply(w.wanted());
        if (fine(report) && idle(w)) {
            if (later)
                return {};
            later = true;
            w.clock.advance(a_while);
        }
        if (i + 1 == most_processes)
            return "not quiet after " + std::to_string(most_processes) + " processes:\n" +
                   (report.unsettled ? report.unsettled->message() + "\n" : "") + troubles(report.last.conditions);
    }
    return {};
}

// ... and again after the story's end.
std::string until_over(story_world& w, duration afterwards) {
    auto wrong = until_quiet(w);
    // Three times: a process that was stopped may ask again, late, for a rotation that has been done, which then has an
    // overlap of its own after the first one's.
    for (int i = 0; i < 3 && wrong.empty() && afterwards > duration{}; ++i) {
        w.clock.advance(afterwards);
        wrong = until_quiet(w);
    }
    return wrong;
}

std::string complaints(story_world& w, const std::string& expected_end, interference::leaves allowed) {
    std::string out;
    if (!expected_end.empty()) {
        const bool once = allowed == interference::leaves::echoes;
        out += difference(once ? without_echoes(expected_end) : expected_end,
                          once ? without_echoes(canonical(w)) : canonical(w));
    }
    out += w.cloud.checks.complaint();
    for (const auto& leak : w.cloud.ledger.leaks_in(w.logged.str()))
        out += "leaked: " + leak + "\n";
    return out;
}

undisturbed play(const scenario& s) {
    story_world w;
    s.prepare(w);
    w.cloud.ledger.forget_requests();
    w.apply(w.wanted());
    undisturbed out;
    out.requests = w.requests_of_last;
    for (const auto& e : w.cloud.ledger.requests())
        out.calls.push_back(std::string{to_string(e.to)} + " " + e.method + " " + e.target);
    auto wrong = until_over(w, s.afterwards);
    wrong += complaints(w, {});
    if (!wrong.empty())
        throw std::logic_error(s.name + ", undisturbed: " + wrong);
    out.end = canonical(w);
    return out;
}

std::string play(const scenario& s, const interference& at, std::size_t n, const undisturbed& expected) {
    story_world w;
    s.prepare(w);
    at.arm(w, n);
    w.apply(w.wanted());
    w.dies = {};
    w.cloud.trouble.clear();
    auto wrong = until_over(w, s.afterwards);
    wrong += complaints(w, expected.end, at.may_leave);
    return wrong;
}

void tally::enter(const std::string& row, const std::string& column, bool held) {
    auto remember = [](std::vector<std::string>& in, const std::string& name) {
        if (std::find(in.begin(), in.end(), name) == in.end())
            in.push_back(name);
    };
    remember(rows_, row);
    remember(columns_, column);
    auto& c = counts_[{row, column}];
    ++c.all;
    c.held += held ? 1 : 0;
}

std::string tally::text() const {
    std::size_t widest = 5;
    for (const auto& row : rows_)
        widest = std::max(widest, row.size());
    auto padded = [](std::string text, std::size_t to, bool right) {
        const std::string room(to - std::min(to, text.size()), ' ');
        return right ? room + text : text + room;
    };
    auto cell = [](const count& c) {
        return c.held == c.all ? std::to_string(c.all) : std::to_string(c.held) + "/" + std::to_string(c.all);
    };
    auto line = [&](const std::string& name, auto value_of) {
        std::string out = padded(name, widest, false);
        for (const auto& column : columns_)
            out += "  " + padded(value_of(column), std::max<std::size_t>(column.size(), 6), true);
        return out + "\n";
    };
    std::string out = line("", [](const std::string& column) { return column; });
    std::map<std::string, count> totals;
    count all;
    for (const auto& row : rows_) {
        out += line(row, [&](const std::string& column) {
            const auto at = counts_.find({row, column});
            if (at == counts_.end())
                return std::string{"-"};
            totals[column].all += at->second.all;
            totals[column].held += at->second.held;
            all.all += at->second.all;
            all.held += at->second.held;
            return cell(at->second);
        });
    }
    out += line("total", [&](const std::string& column) { return cell(totals[column]); });
    return out + std::to_string(all.held) + " of " + std::to_string(all.all) + " ended as if undisturbed\n";
}

} // namespace postern::testing
