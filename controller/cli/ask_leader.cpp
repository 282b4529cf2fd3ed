#include "cli/ask_leader.hpp"

#include "base/text.hpp"
#include "cli/outcome.hpp"
#include "cli/perform.hpp"
#include "cli/print.hpp"
#include "cli/process.hpp"
#include "cli/session.hpp"
#include "cli/store_address.hpp"
#include "cli/wait_for.hpp"
#include "domain/reason.hpp"
#include "net/clock.hpp"
#include "run/status.hpp"

#include <algorithm>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace postern::cli {

namespace asio = boost::asio;

namespace {

// A look reads the whole world, from the budgets that the controller needs.
constexpr duration first_rest = std::chrono::seconds{2};
constexpr duration longest_rest = std::chrono::seconds{30};

} // namespace

asio::awaitable<result<seen_lease>> look_for_beat(run::store* memory, duration patience) {
    net::system_clock clock;
    auto reading = memory->read_lease();
    auto first = co_await std::move(reading);
    if (first.has_error())
        co_return first.error();
    auto last = first.value();
    const auto until = net::time_since_boot() + patience;
    while (!last.holder.empty() && net::time_since_boot() < until) {
        auto nap = clock.sleep_for(patience / 8);
        co_await std::move(nap);
        auto again = memory->read_lease();
        auto row = co_await std::move(again);
        if (row.has_error())
            co_return row.error();
        last = row.value();
        // Others who ask for a pass do not speak for the holder.
        if (!last.holder.empty() && (last.epoch != first.value().epoch || last.beat != first.value().beat))
            co_return seen_lease{last, true};
    }
    co_return seen_lease{last, false};
}

namespace {

const domain::account_view* account_of(const session& here, const domain::service_token& token) {
    const auto& accounts = here.world().accounts;
    const auto at = accounts.find(token.account);
    return at == accounts.end() || !at->second ? nullptr : &*at->second;
}

const domain::record* record_of(const session& here, const domain::service_token& token) {
    const auto& vaults = here.world().vaults;
    const auto vault = vaults.find(token.vault);
    if (vault == vaults.end() || !vault->second || !vault->second->state)
        return nullptr;
    const auto at = vault->second->state->records.find(token.name);
    return at == vault->second->state->records.end() ? nullptr : &at->second;
}

// Whether everything that was noted has been done: what is left is the overlap.
bool is_done(const domain::record& r, const domain::rotation_request& noted) {
    if (!r.request || r.request->at < noted.at || !r.request->done || r.pending)
        return false;
    return noted.reason == domain::reason::compromised ? !r.previous : !r.previous || r.previous_until;
}

std::string stage_of(const domain::record& r) {
    if (r.pending)
        return "the next credential is being made and proved";
    if (r.previous && !r.previous_until)
        return "the next credential is being delivered";
    return r.request && r.request->done ? "the previous credential is being ended" : "the controller has not begun";
}

void print(const options& asked, const domain::desired& wanted, const std::vector<domain::condition>& conditions) {
    if (asked.form == output::json)
        std::cout << document({}, conditions, wanted);
    else
        std::cout << conditions_text(conditions, colours_wanted());
}

// What the controller came to about that token, in a pass that it began and ended since then; nothing: in none yet, or
// it cannot be read now.
std::optional<std::vector<domain::condition>> conditions_of_leader(run::store& memory, const domain::desired& wanted,
                                                                   const std::string& token, instant since) {
    auto saved = wait_for(memory.load_status());
    auto row = wait_for(memory.read_lease());
    if (saved.has_error() || saved->empty() || row.has_error())
        return std::nullopt;
    auto said = run::parse_status(saved.value());
    if (said.has_error() || said->epoch != row->epoch || !said->pass_began || *said->pass_began < since ||
        !said->last_whole_pass || *said->last_whole_pass < *said->pass_began)
        return std::nullopt;
    const auto meant = domain::documents_of(wanted, token);
    std::erase_if(said->conditions, [&](const auto& c) { return !meant.contains(c.resource); });
    return std::move(said->conditions);
}

} // namespace

result<std::optional<leader>> find_leader(const options& asked) {
    auto opened = open_existing_store(asked);
    if (opened.has_error()) {
        const bool named = !asked.store.empty() || environment("DATABASE_URL");
        return named ? result<std::optional<leader>>{opened.error()} : std::optional<leader>{};
    }
    auto seen = wait_for(look_for_beat(opened.value().get(), asked.daemon.lease / 2));
    if (seen.has_error())
        return seen.error();
    const auto& row = seen.value().row;
    if (seen.value().beats)
        return std::optional{leader{std::move(opened.value()), row}};
    if (!row.holder.empty())
        std::cerr << "The controller " << printable(row.holder) << " holds the lease, but has been silent for "
                  << format_duration(asked.daemon.lease / 2)
                  << ": it is taken for dead. Where its --lease is longer, say so here too.\n";
    return std::optional<leader>{};
}

int ask_leader(const options& asked, const domain::desired& wanted, leader to) {
    const auto& request = asked.requests.at(asked.only);
    const auto token =
        std::find_if(wanted.tokens.begin(), wanted.tokens.end(), [&](const auto& t) { return t.name == asked.only; });
    run::progress nobody;
    auto noting = asked;
    noting.takes = run::extent::requests;
    session here{noting, wanted};
    if (auto refused = approve(asked, here, wanted))
        return *refused;
    const auto report = here.make_pass(nobody, {});
    const auto* record = record_of(here, *token);
    const auto* account = account_of(here, *token);
    if (record == nullptr || !record->request || account == nullptr ||
        !domain::notes(*record->request, request, *account)) {
        print(asked, wanted, report.last.conditions);
        std::cerr << "The request could not be noted in the record of " << asked.only
                  << ": the conditions say why. Nothing was done.\n";
        return exit_code(report) == code::needs_a_person ? code::needs_a_person : code::error;
    }
    const auto noted = *record->request;
    const auto noted_at = domain::dated(*account, here.clock().now());
    auto woken = wait_for(to.memory->want_pass());
    if (woken.has_error())
        std::cerr << "The controller could not be woken, and will see the request in its next pass: "
                  << woken.error().message() << '\n';
    if (asked.form == output::text)
        std::cout << "Asked the controller that leads (" << to.row.holder << ", epoch " << to.row.epoch << ").\n";

    auto watching = asked;
    watching.takes = run::extent::looks;
    watching.requests.clear();
    session eyes{watching, wanted};
    const auto until = eyes.clock().now() + asked.wait;
    std::string stage;
    auto rest = first_rest;
    for (;;) {
        auto seen = eyes.make_pass(nobody, {});
        record = record_of(eyes, *token);
        if (record != nullptr && is_done(*record, noted)) {
            print(asked, wanted, seen.last.conditions);
            if (asked.form == output::text)
                std::cout << "\nDone.\n";
            return exit_code(seen);
        }
        if (record != nullptr && stage_of(*record) != stage && asked.form == output::text) {
            stage = stage_of(*record);
            rest = first_rest;
            std::cout << "  " << stage << '\n' << std::flush;
        }
        const auto told = conditions_of_leader(*to.memory, wanted, asked.only, noted_at);
        if (told && exit_code(*told) == code::needs_a_person) {
            print(asked, wanted, *told);
            std::cerr
                << "The controller cannot go on with it before that is mended. The request stands in the record: it "
                   "is done as soon as it can be.\n";
            return code::needs_a_person;
        }
        if (seen.interrupted || eyes.clock().now() >= until) {
            print(asked, wanted, seen.last.conditions);
            std::cerr << "Not done yet. The request stands in the record: the controller goes on with it.\n";
            return code::error;
        }
        eyes.rest(rest);
        rest = std::min(rest * 3 / 2, longest_rest);
    }
}

} // namespace postern::cli
