#include "cli/status_text.hpp"

#include "base/text.hpp"
#include "cli/colour.hpp"
#include "cli/print.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace postern::cli {

namespace {

std::string ago(instant at, instant now) {
    return at > now ? "in " + rough(at - now) : rough(now - at) + " ago";
}

std::string date(instant at) {
    return format_instant(at).substr(0, 10);
}

// Characters, not bytes: names may be any UTF-8.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

std::string padded(std::string text, std::size_t to) {
    const auto used = width(text);
    return used < to ? text + std::string(to - used, ' ') : text;
}

std::string line(std::string_view name, const std::string& value) {
    return padded(std::string{name}, 12) + value + "\n";
}

std::string leader_text(const run::status& s) {
    if (s.leading)
        return printable(s.holder) + " leads, epoch " + std::to_string(s.epoch);
    if (!s.silent_holder.empty())
        return "nobody leads: " + printable(s.silent_holder) +
               " holds the lease, but did not renew it while this looked on: it is dead or cut off (or its --lease is "
               "longer: say so here too); this is what " +
               printable(s.holder) + " saw";
    if (!s.leader.empty())
        return printable(s.leader) + " leads; this is what " + printable(s.holder) + " saw";
    return "nobody leads; this is what " + printable(s.holder) + " saw";
}

std::string last_pass_text(const run::status& s, instant now) {
    if (s.pass == 0)
        return "none has ended yet";
    auto out = "number " + std::to_string(s.pass);
    if (s.pass_began)
        out += ", began " + ago(*s.pass_began, now);
    if (s.pass_took)
        out += ", took " + format_duration(*s.pass_took);
    return out;
}

std::string good_pass_text(const run::status& s, instant now) {
    return s.last_good_pass ? ago(*s.last_good_pass, now)
                            : "none yet: none has read the whole world and left nothing that failed or is retried";
}

// The process, its documents and its passes.
std::string head_text(const run::status& s, instant now, bool colour) {
    auto out = line("Leader", leader_text(s));
    out += line("Process", "version " + printable(s.version) + ", up for " + rough(s.at - s.started_at) +
                               "; this was seen " + ago(s.at, now));
    if (s.observing)
        out += line("Brake", painted("on (--observe): everything is reported, nothing is written", yellow, colour));
    out += line("Revision", s.revision.empty() ? "none: there were no good documents yet" : printable(s.revision));
    if (!s.specs_problem.empty())
        out += line("", painted("newer documents are not in force: " + printable(s.specs_problem), red, colour));
    if (!s.store_problem.empty())
        out += line("Store", painted("does not answer: " + printable(s.store_problem), red, colour));
    out += line("Last pass", last_pass_text(s, now));
    out += line("Last good", good_pass_text(s, now));
    if (s.next_pass)
        out += line("Next pass", *s.next_pass > now ? ago(*s.next_pass, now) : "due " + ago(*s.next_pass, now));
    return out;
}

using row = std::array<std::string, 4>;

std::string stage_text(const run::token_status& t, instant now) {
    if (t.token_id.empty() && t.stage.empty())
        return "no token yet";
    if (t.stage == "overlap" && t.previous_until)
        return "overlap, ends " + ago(*t.previous_until, now);
    return t.stage.empty() ? "in force" : t.stage;
}

std::string expiry_text(const std::optional<instant>& at, instant now) {
    if (!at)
        return "-";
    return *at > now ? "in " + rough(*at - now) : "EXPIRED " + rough(now - *at) + " ago";
}

std::string due_text(const run::token_status& t, instant now) {
    if (!t.rotation_due)
        return "-";
    if (*t.rotation_due > now)
        return date(*t.rotation_due) + ", in " + rough(*t.rotation_due - now);
    return "due since " + rough(now - *t.rotation_due);
}

std::string table(const std::vector<row>& rows, bool colour) {
    std::array<std::size_t, 4> widths{};
    for (const auto& r : rows) {
        for (std::size_t i = 0; i < r.size(); ++i)
            widths.at(i) = std::max(widths.at(i), width(r.at(i)));
    }
    std::string out;
    for (const auto& r : rows) {
        std::string text;
        for (std::size_t i = 0; i < r.size(); ++i)
            text += i + 1 < r.size() ? padded(r.at(i), widths.at(i) + 2) : r.at(i);
        out += (&r == &rows.front() ? painted(text, bold, colour) : text) + "\n";
    }
    return out;
}

std::string tokens_text(const run::status& s, instant now, bool colour) {
    if (s.tokens.empty())
        return "No tokens.\n";
    std::vector<row> rows{{"TOKEN", "STAGE", "EXPIRES", "ROTATION"}};
    for (const auto& t : s.tokens)
        rows.push_back({printable(t.name), stage_text(t, now), expiry_text(t.expires_at, now), due_text(t, now)});
    return table(rows, colour);
}

// What tells a single token's reader more than the table does.
std::string ids_text(const run::token_status& t) {
    if (t.token_id.empty())
        return {};
    auto out = "\n" + line("Token id", printable(t.token_id)) + line("Client id", printable(t.client_id));
    if (!t.fingerprint.empty())
        out += line("Fingerprint", printable(t.fingerprint));
    if (!t.cadence_key.empty())
        out += line("Cadence key", printable(t.cadence_key));
    return out;
}

std::string keys_text(const run::status& s, instant now, bool colour) {
    std::string out;
    for (const auto& c : s.connections) {
        const auto when = c.expires_at ? expiry_text(c.expires_at, now) : std::string{"no date known"};
        out +=
            "  " + printable(c.resource) + ": " + (c.expires_at && *c.expires_at > now ? "expires " : "") + when + "\n";
    }
    return out.empty() ? out : "\n" + painted("Own keys:", bold, colour) + "\n" + out;
}

} // namespace

std::string rough(duration span) {
    using namespace std::chrono;
    const auto left = std::max(duration_cast<seconds>(span), seconds{0}).count();
    const std::array<std::pair<std::int64_t, char>, 4> units{{{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}}};
    for (std::size_t i = 0; i + 1 < units.size(); ++i) {
        const auto [size, name] = units.at(i);
        if (left < size)
            continue;
        const auto [next_size, next_name] = units.at(i + 1);
        auto out = std::to_string(left / size) + name;
        const auto rest = left % size / next_size;
        return rest > 0 && left / size < 100 ? out + std::to_string(rest) + next_name : out;
    }
    return std::to_string(left) + "s";
}

std::string status_text(const run::status& s, instant now, bool colour) {
    auto out = head_text(s, now, colour) + "\n" + tokens_text(s, now, colour);
    if (s.tokens.size() == 1)
        out += ids_text(s.tokens.front());
    const auto conditions = conditions_text(s.conditions, colour);
    if (!conditions.empty())
        out += "\n" + conditions;
    return out + keys_text(s, now, colour);
}

} // namespace postern::cli
