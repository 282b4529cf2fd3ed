#include "run/gather.hpp"
#include "run/together.hpp"
#include "run/views.hpp"

#include <set>
#include <tuple>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;

namespace {

// What is wanted of one app: under which name a value is seen, which variables it stands in, and whose vault's key
// gives its fingerprint.
struct asked {
    std::string name;
    variables which;
    std::string vault;
};

using asked_by_app = std::map<std::pair<std::string, std::string>, std::vector<asked>>; // by account, app

void ask_for_bindings(const domain::desired& wanted, asked_by_app& into) {
    std::map<std::string, std::string> vault_of;
    for (const auto& token : wanted.tokens)
        vault_of[token.name] = token.vault;
    for (const auto& binding : wanted.heroku_bindings) {
        const variables which{binding.config_var, binding.client_id_var, binding.client_secret_var};
        for (const auto& app : binding.apps)
            into[{binding.account, app}].push_back({binding.name, which, vault_of[binding.token]});
    }
}

// Deliveries that no document asks for any more.
void ask_for_left(const domain::desired& wanted, const domain::observed& world, asked_by_app& into) {
    std::set<std::tuple<std::string, std::string, std::string, std::vector<std::string>>> bound;
    for (const auto& binding : wanted.heroku_bindings) {
        for (const auto& app : binding.apps)
            bound.insert({binding.token, binding.account, app, binding.vars()});
    }
    std::map<std::string_view, std::string_view> vault_of;
    for (const auto& token : wanted.tokens)
        vault_of[token.name] = token.vault;
    for (const auto& [vault, reading] : world.vaults) {
        if (!reading || !reading->state)
            continue;
        for (const auto& [token, record] : reading->state->records) {
            if (auto at = vault_of.find(token); at != vault_of.end() && at->second != vault)
                continue; // it moved: what counts is kept in the other vault
            for (const auto& note : record.deliveries) {
                if (!bound.contains({token, note.account, note.app, note.vars}))
                    into[{note.account, note.app}].push_back(
                        {domain::left_name(token, note.vars), variables::noted(note.vars), vault});
            }
        }
    }
}

asio::awaitable<void> read_app(provider::heroku* client, std::string app, std::vector<asked> values, key_ring* ring,
                               domain::reading<domain::app_view>* into) {
    auto vars = co_await client->config_vars(app);
    if (vars.has_error()) {
        into->failure = vars.error();
        co_return;
    }
    into->seen.emplace();
    for (const auto& value : values)
        (*into)->values[value.name] = view_of_app(vars.value(), value.which, value.vault, *ring);
}

// Where no app at all could be read, and for a reason that is none of theirs, it is the account that has failed.
void blame_the_account(domain::reading<domain::heroku_view>& reading) {
    if (!reading || reading->apps.empty())
        return;
    for (const auto& [name, app] : reading->apps) {
        if (app || !app.failure || app.failure->kind == error_kind::refused)
            return;
    }
    reading.failure = reading->apps.begin()->second.failure;
    reading.seen.reset();
}

} // namespace

asio::awaitable<void> gatherer::read_heroku() {
    asked_by_app apps;
    ask_for_bindings(around_.wanted, apps);
    ask_for_left(around_.wanted, world_, apps);
    std::vector<asio::awaitable<void>> jobs;
    for (const auto& account : around_.wanted.heroku) {
        auto& reading = world_.heroku[account.name];
        auto opened = around_.remotes.open(account, sources{around_.process, lists_});
        if (opened.has_error()) {
            reading.failure = opened.error();
            continue;
        }
        reading.seen.emplace();
        for (auto& [place, values] : apps) {
            if (place.first == account.name)
                jobs.push_back(read_app(opened.value(), place.second, std::move(values), &around_.ring,
                                        &reading->apps[place.second]));
        }
    }
    auto all = together(std::move(jobs), readings_at_once);
    co_await std::move(all);
    for (auto& [name, reading] : world_.heroku)
        blame_the_account(reading);
}

} // namespace postern::run
