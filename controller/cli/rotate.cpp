#include "base/text.hpp"
#include "cli/ask_leader.hpp"
#include "cli/documents.hpp"
#include "cli/outcome.hpp"
#include "cli/perform.hpp"
#include "cli/print.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"
#include "domain/reason.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace postern::cli {

namespace {

constexpr std::string_view rehearsal_suffix = "-rehearsal";
constexpr std::string_view rehearsal_source = " (rehearsal)";
constexpr std::size_t longest_name = 63; // of a document

const domain::service_token* find(const domain::desired& wanted, const std::string& name) {
    auto at = std::find_if(wanted.tokens.begin(), wanted.tokens.end(), [&](const auto& t) { return t.name == name; });
    if (at != wanted.tokens.end())
        return &*at;
    std::vector<std::string> names;
    for (const auto& token : wanted.tokens)
        names.push_back(token.name);
    std::cerr << "The documents have no ServiceToken \"" << printable(name) << '"';
    if (const auto meant = nearest(name, names))
        std::cerr << ", did you mean \"" << *meant << "\"?\n";
    else
        std::cerr << "; they have " << join(names, ", ") << ".\n";
    return nullptr;
}

constexpr const char* what_compromised_breaks =
    "Compromised: the old secret ends as soon as every consumer that the documents name holds the new one, without an\n"
    "overlap; one that is running ends now. Whoever else uses the old secret is refused from then on, dynos that "
    "still\n"
    "run with it too. Access sessions that were opened with it last until the application's session duration is over:\n"
    "end them in the dashboard.\n\n";

int replan(const options& asked, const domain::desired& wanted) {
    session here{asked, wanted};
    auto made = look(asked, here);
    if (made.failure)
        here.diagnostics().error("rotate", {{"what", made.failure->message()}});
    if (asked.form == output::json)
        std::cout << document(made.steps, made.conditions, wanted);
    else
        std::cout << plan_text(made.steps, made.conditions, wanted, colours_wanted());
    return exit_code(made);
}

// The same token beside the real one: its own name, its own vault key, the same applications, and no app. The records
// say that it comes from a source of its own, so that a controller that follows the real one does not take it for
// something that left git.
domain::desired with_rehearsal(const domain::desired& wanted, const domain::service_token& real,
                               const std::string& name) {
    auto out = wanted;
    out.source += rehearsal_source;
    auto token = real;
    token.name = name;
    token.display_name = real.display_name + " (rehearsal)";
    token.key = real.key + "_REHEARSAL";
    token.authorization = "I authorize " + token.key;
    token.adopt.clear();
    token.enforcement = domain::mode::enforce;
    token.deletion = domain::deletion_policy::delete_;
    if (token.how == domain::strategy::renew)
        token.how = domain::strategy::replace; // what --strategy Replace would do
    out.tokens.push_back(std::move(token));
    for (const auto& b : wanted.bindings) {
        if (std::find(b.tokens.begin(), b.tokens.end(), real.name) == b.tokens.end())
            continue;
        auto copy = b;
        copy.name = b.name + std::string{rehearsal_suffix};
        copy.policy_name = b.policy_name + " (rehearsal)";
        copy.tokens = {name};
        out.bindings.push_back(std::move(copy));
    }
    return out;
}

// How long the steps of each word took together, in the order in which they first came up.
class stopwatch final : public run::progress {
public:
    explicit stopwatch(net::clock& clock) : clock_(clock) {}

    void started(const domain::step& s) override { since_[s.locks.front()] = clock_.now(); }
    void finished(const domain::step& s, const domain::outcome& came) override {
        const auto word = domain::word(s);
        auto at = std::find_if(laps_.begin(), laps_.end(), [&](const auto& l) { return l.word == word; });
        if (at == laps_.end())
            at = laps_.insert(laps_.end(), {word, 0, 0, {}});
        ++at->times;
        at->failed += came.failure ? 1 : 0;
        at->took += clock_.now() - since_[s.locks.front()];
    }

    std::string text() const {
        std::string out;
        for (const auto& one : laps_) {
            char line[96];
            std::snprintf(line, sizeof line, "  %-15s %3d x  %8.3f s%s\n", one.word.c_str(), one.times,
                          static_cast<double>(one.took.count()) / 1000.0,
                          one.failed > 0 ? "  (not at the first try)" : "");
            out += line;
        }
        return out;
    }

private:
    struct lap {
        std::string word;
        int times = 0;
        int failed = 0;
        duration took{};
    };

    net::clock& clock_;
    std::map<std::string, instant> since_; // by first lock
    std::vector<lap> laps_;
};

int rehearse(options asked, const domain::desired& wanted, const domain::service_token& real) {
    const auto name = real.name.substr(0, longest_name - rehearsal_suffix.size()) + std::string{rehearsal_suffix};
    if (std::any_of(wanted.tokens.begin(), wanted.tokens.end(), [&](const auto& t) { return t.name == name; })) {
        std::cerr << "The documents have a ServiceToken " << name << ", which a rehearsal would be taken for.\n";
        return code::error;
    }
    const auto both = with_rehearsal(wanted, real, name);
    auto without = wanted;
    without.source = both.source;
    asked.only = name;
    asked.auto_approve = true;
    net::system_clock clock;
    auto act = [&](std::string_view title, const domain::desired& documents, bool even_if_nothing = true) {
        if (even_if_nothing)
            std::cout << title << '\n' << std::flush;
        session here{asked, documents};
        stopwatch watch{clock};
        auto report = here.make_pass(watch, {});
        if (!even_if_nothing && !watch.text().empty())
            std::cout << title << '\n';
        std::cout << watch.text();
        if (auto text = conditions_text(report.last.conditions, colours_wanted());
            !text.empty() && exit_code(report) != 0)
            std::cout << text;
        return exit_code(report);
    };
    std::cout << "A rehearsal with a token, a vault key (" << real.key
              << "_REHEARSAL) and policies of its own. No consumer of " << real.name << " is touched.\n\n";
    // One that was killed may have left what cannot be gone on from: a word that was used up, a token without its key.
    asked.prune = true;
    if (const int left = act("Clean up what an earlier one left:", without, false); left != code::fine)
        return left;
    asked.prune = false;
    int worst = act("Provision:", both);
    if (worst == code::fine) {
        asked.requests[name] = {clock.now(), std::string{domain::reason::compromised}, asked.how,
                                "postern rotate --rehearse", false};
        worst = act("Rotate, without an overlap, and retire:", both);
        asked.requests.clear();
    }
    asked.prune = true;
    const int cleaned = act("Clean up:", without);
    if (cleaned != code::fine)
        std::cout << "\nNot everything was cleaned up: rehearse again, which goes on from here.\n";
    else
        std::cout << (worst == code::fine ? "\nThe rehearsal went through; nothing is left of it.\n"
                                          : "\nThe rehearsal did not go through; nothing is left of it.\n");
    return std::max(worst == code::needs_a_person && cleaned == code::error ? code::error : worst, cleaned);
}

} // namespace

int rotate(const options& given) {
    auto asked = given;
    asked.verb = "rotate";
    auto wanted = load_documents(asked);
    if (!wanted)
        return code::error;
    const auto* token = find(*wanted, asked.only);
    if (token == nullptr)
        return code::error;
    if (asked.compromised && asked.how == domain::strategy::renew) {
        std::cerr << "--strategy Renew keeps the secret, which --compromised says is known to somebody: Replace or "
                     "InPlace.\n";
        return code::error;
    }
    if (token->enforcement == domain::mode::observe && !asked.rehearse) {
        std::cerr << "ServiceToken " << token->name << " says mode: Observe: nothing of it is written.\n";
        return code::error;
    }
    session here{asked, *wanted};
    if (auto why = here.unusable()) {
        std::cerr << why->message() << '\n';
        return code::error;
    }
    if (asked.rehearse)
        return rehearse(asked, *wanted, *token);
    const auto why = asked.compromised ? domain::reason::compromised : domain::reason::requested;
    asked.requests[token->name] = {here.clock().now(), std::string{why}, asked.how, "postern rotate", false};
    if (asked.compromised && asked.form == output::text)
        std::cout << what_compromised_breaks;
    if (asked.dry_run)
        return replan(asked, *wanted);
    auto leading = find_leader(asked);
    if (leading.has_error()) {
        std::cerr << leading.error().message() << '\n';
        return code::error;
    }
    if (leading.value())
        return ask_leader(asked, *wanted, std::move(*leading.value()));
    session acting{asked, *wanted};
    return perform(asked, acting, *wanted).code;
}

} // namespace postern::cli
