#include "cli/live.hpp"

#include "base/text.hpp"
#include "cli/colour.hpp"
#include "cli/print.hpp"

#include <ostream>
#include <utility>

namespace postern::cli {

namespace {

constexpr std::size_t most_lines = 12;

std::string seconds_since(instant since, instant now) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now - since).count()) + "s";
}

std::string_view word_of(domain::verdict v) {
    switch (v) {
    case domain::verdict::passed:
        return "passed";
    case domain::verdict::login_redirect:
        return "not yet: sent to the login page";
    case domain::verdict::unauthorized:
        return "not yet: 401 by Access";
    case domain::verdict::forbidden:
        return "not yet: 403 by Access";
    case domain::verdict::firewall:
        return "stopped by a firewall or bot rule";
    case domain::verdict::origin_error:
        return "the origin fails";
    case domain::verdict::unexpected:
        return "unexpected status";
    case domain::verdict::unreachable:
        return "unreachable";
    case domain::verdict::public_path:
        return "open to strangers: the credential was not sent";
    case domain::verdict::not_access:
        break;
    }
    return "not guarded by Access: the credential was not sent";
}

// Of a retired credential: to be refused is what is wanted.
std::string refusal_of(const domain::proof& tried) {
    using domain::verdict;
    if (tried.last == verdict::login_redirect || tried.last == verdict::unauthorized ||
        tried.last == verdict::forbidden)
        return "refused, as it must be";
    return tried.last == verdict::passed ? "still let in" : "could not be asked (" + printable(tried.detail) + ")";
}

std::string result_of(const domain::step& s, const domain::outcome& came) {
    if (came.failure)
        return std::string{to_string(came.failure->kind)} + ": " + came.failure->message();
    if (came.awaiting_approval)
        return "nothing stored: the vault waits for an approval";
    if (came.proved && std::holds_alternative<domain::steps::try_retired>(s.what))
        return refusal_of(*came.proved);
    if (came.proved) {
        std::string out{word_of(came.proved->last)};
        if (came.proved->last != domain::verdict::passed && !came.proved->detail.empty())
            out += " (" + printable(came.proved->detail) + ")";
        return out;
    }
    return "done";
}

} // namespace

void live::say(const std::string& line) {
    if (how_.quiet || how_.passing)
        return;
    clear();
    to_ << line << '\n';
    to_.flush();
}

void live::clear() {
    // From the left margin: a "^C" may have been echoed.
    if (drawn_ > 0)
        to_ << "\r\x1b[" << drawn_ << "A\x1b[J";
    drawn_ = 0;
    to_.flush();
}

void live::draw() {
    if (!how_.columns || how_.quiet)
        return;
    clear();
    const auto now = clock_.now();
    for (const auto& [lock, step] : running_) {
        if (drawn_ == most_lines) {
            draw_line("… and " + std::to_string(running_.size() - most_lines) + " more");
            break;
        }
        draw_line(seconds_since(step.since, now) + " " + step.name + ": " + step.what + " …");
    }
    if (running_.empty() && !waiting_.empty())
        draw_line(waiting_);
    to_.flush();
}

// Cut to the terminal's width: a line that wraps could not be taken away again.
void live::draw_line(const std::string& line) {
    std::size_t room = how_.columns();
    std::size_t end = 0;
    for (; end < line.size(); ++end) {
        const bool starts_character = (static_cast<unsigned char>(line[end]) & 0xc0U) != 0x80;
        if (starts_character && room-- == 0)
            break;
    }
    to_ << line.substr(0, end) << '\n';
    ++drawn_;
}

void live::tick() {
    draw();
}

void live::gathering() {
    waiting_ = "Reading Cloudflare, the vault and Heroku …";
    draw();
}

void live::started(const domain::step& s) {
    waiting_.clear();
    under_way entry{short_name(s.resource), domain::word(s) + " " + printable(s.target), clock_.now()};
    running_.insert_or_assign(s.locks.front(), std::move(entry));
    draw();
}

void live::finished(const domain::step& s, const domain::outcome& came) {
    running_.erase(s.locks.front());
    if (!came.failure && !came.awaiting_approval && domain::writes(s)) {
        changes_.add(s);
        if (how_.quiet)
            done_.push_back(s);
    }
    const bool bad = came.failure.has_value() || came.awaiting_approval;
    tell(s, result_of(s, came), bad);
    auto line = short_name(s.resource) + ": " + domain::word(s) + " " + printable(s.target) + " … ";
    say(line + painted(result_of(s, came), red, bad && how_.colour));
    draw();
}

// Nobody else tells a failure where no lines are written.
void live::tell(const domain::step& s, const std::string& result, bool bad) {
    const auto action = domain::word(s);
    if (bad && how_.quiet)
        diagnostics_.warn("step", {{"action", action},
                                   {"resource", s.resource},
                                   {"target", s.target},
                                   {"reason", s.reason},
                                   {"result", result}});
    else
        diagnostics_.info("step", {{"action", action},
                                   {"resource", s.resource},
                                   {"target", s.target},
                                   {"reason", s.reason},
                                   {"result", result}});
}

void live::waiting(instant until, const std::vector<domain::condition>& conditions) {
    waiting_ = "Waiting until " + format_instant(until);
    for (const auto& c : conditions) {
        if (c.heft == domain::weight::waiting) {
            waiting_ += ": " + short_name(c.resource) + ": " + printable(c.message);
            break;
        }
    }
    if (how_.columns)
        draw();
    else
        say(waiting_);
}

} // namespace postern::cli
