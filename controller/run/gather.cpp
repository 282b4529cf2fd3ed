#include "run/gather.hpp"

#include "domain/application.hpp"
#include "run/together.hpp"
#include "run/views.hpp"

#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;

namespace {

std::vector<std::string> vaults_behind(const domain::infisical_vault& vault) {
    std::vector<std::string> names;
    auto add = [&](const domain::value_source& from) {
        if (const auto* at = std::get_if<domain::from_vault>(&from))
            names.push_back(at->vault);
    };
    if (const auto* fixed = std::get_if<domain::token_auth>(&vault.auth)) {
        add(fixed->token);
    } else {
        const auto& universal = std::get<domain::universal_auth>(vault.auth);
        add(universal.client_secret);
        if (const auto* id = std::get_if<domain::value_source>(&universal.client_id))
            add(*id);
    }
    return names;
}

// The folders that are known to matter before any record was read.
std::set<std::string> folders_of(const domain::desired& wanted, const domain::infisical_vault& vault) {
    std::set<std::string> paths{vault.state_path};
    for (const auto& token : wanted.tokens) {
        if (token.vault == vault.name)
            paths.insert(token.path);
    }
    auto add = [&](const domain::value_source& from) {
        if (const auto* at = std::get_if<domain::from_vault>(&from); at != nullptr && at->vault == vault.name)
            paths.insert(at->path);
    };
    auto add_value = [&](const domain::text_value& from) {
        if (const auto* source = std::get_if<domain::value_source>(&from))
            add(*source);
    };
    for (const auto& account : wanted.cloudflare) {
        add(account.api_token);
        add_value(account.account_id);
    }
    for (const auto& account : wanted.heroku)
        add(account.api_key);
    for (const auto& other : wanted.vaults) {
        if (const auto* fixed = std::get_if<domain::token_auth>(&other.auth)) {
            add(fixed->token);
        } else {
            const auto& universal = std::get<domain::universal_auth>(other.auth);
            add(universal.client_secret);
            add_value(universal.client_id);
        }
    }
    return paths;
}

bool mentions_group(const domain::rules& of) {
    auto is_group = [](const domain::rule& r) { return r.is == domain::rule::kind::group; };
    return std::any_of(of.include.begin(), of.include.end(), is_group) ||
           std::any_of(of.exclude.begin(), of.exclude.end(), is_group) ||
           std::any_of(of.require.begin(), of.require.end(), is_group);
}

bool mentions_group(const std::vector<domain::live_application>& applications) {
    for (const auto& application : applications) {
        if (!domain::admits_machines(application))
            continue;
        for (const auto& policy : application.policies) {
            if (mentions_group(policy))
                return true;
        }
    }
    return false;
}

// Where the lists of an account land. Several reads fill it; the first failure counts.
struct account_reading {
    provider::cloudflare* client = nullptr;
    domain::account_view view;
    std::optional<error> failure;

    template<class T>
    void take(result<T> from, T& into) {
        if (from.has_value())
            into = std::move(from.value());
        else if (!failure)
            failure = from.error();
    }
};

asio::awaitable<void> read_tokens(account_reading* into) {
    auto tokens = co_await into->client->list_tokens();
    into->take(std::move(tokens), into->view.tokens);
}

asio::awaitable<void> read_applications(account_reading* into) {
    auto applications = co_await into->client->list_applications();
    into->take(std::move(applications), into->view.applications);
    if (!mentions_group(into->view.applications))
        co_return;
    auto groups = co_await into->client->list_groups();
    into->take(std::move(groups), into->view.groups);
}

asio::awaitable<void> read_strict(account_reading* into) {
    auto strict = co_await into->client->strict();
    into->take(std::move(strict), into->view.strict);
}

// A refused key says little in a list's answer; the remote's own check of the key says more.
asio::awaitable<void> explain_refusal(account_reading* into) {
    auto status = co_await into->client->verify();
    if (status.has_error())
        into->failure = status.error();
    else if (status.value().status != "active")
        into->failure->what += "; the API token is " + status.value().status;
    else
        into->failure->what += "; the API token is active, but lacks the permission for this call";
}

} // namespace

domain::observed new_process() {
    domain::observed fresh;
    fresh.holder = random_hex(6);
    fresh.salt = random_hex(8);
    return fresh;
}

asio::awaitable<domain::observed> gatherer::gather(domain::observed before) {
    world_ = std::move(before);
    // What was learnt of another vault says nothing about the one that has its name now.
    for (const auto& name : around_.remotes.keep(around_.wanted)) {
        std::erase_if(world_.awaiting_approval, [&](const auto& where) { return where.first == name; });
        around_.ring.forget(name);
    }
    lists_.clear();
    exist_.clear();
    world_.accounts.clear();
    world_.vaults.clear();
    world_.heroku.clear();
    world_.renewed.clear();
    world_.cut_offs.clear();
    world_.stale = false;
    world_.seen_at = around_.clock.now();

    auto vaults = read_vaults();
    co_await std::move(vaults);
    std::vector<asio::awaitable<void>> jobs;
    for (const auto& account : around_.wanted.cloudflare)
        jobs.push_back(read_account(&account));
    jobs.push_back(read_heroku());
    auto rest = together(std::move(jobs), readings_at_once);
    co_await std::move(rest);
    lists_.clear();
    co_return std::move(world_);
}

// A vault may get its login from another one, which then has to be read first.
asio::awaitable<void> gatherer::read_vaults() {
    std::set<std::string> left;
    for (const auto& vault : around_.wanted.vaults)
        left.insert(vault.name);
    while (!left.empty()) {
        std::vector<const domain::infisical_vault*> ready;
        for (const auto& vault : around_.wanted.vaults) {
            auto behind = vaults_behind(vault);
            const bool waits =
                std::any_of(behind.begin(), behind.end(), [&](auto& name) { return left.contains(name); });
            if (left.contains(vault.name) && !waits)
                ready.push_back(&vault);
        }
        if (ready.empty()) {
            for (const auto& name : left)
                world_.vaults[name].failure = error{error_kind::spec,
                                                    "vault " + name,
                                                    "its login comes, by way of other vaults, from itself",
                                                    0,
                                                    {},
                                                    {}};
            co_return;
        }
        std::vector<asio::awaitable<void>> jobs;
        for (const auto* vault : ready) {
            jobs.push_back(read_vault(vault));
            left.erase(vault->name);
        }
        auto all = together(std::move(jobs), readings_at_once);
        co_await std::move(all);
    }
}

asio::awaitable<void> gatherer::read_vault(const domain::infisical_vault* vault) {
    auto opened = around_.remotes.open(*vault, sources{around_.process, lists_});
    if (opened.has_error()) {
        world_.vaults[vault->name].failure = opened.error();
        co_return;
    }
    auto* client = opened.value();
    std::vector<asio::awaitable<void>> jobs;
    for (const auto& path : folders_of(around_.wanted, *vault))
        jobs.push_back(list(client, vault->name, path));
    auto known = together(std::move(jobs), readings_at_once);
    co_await std::move(known);

    observe_state(*vault);
    jobs.clear();
    for (const auto& path : folders_of_records(*vault)) {
        if (!lists_.contains({vault->name, path}))
            jobs.push_back(list(client, vault->name, path));
    }
    auto remembered = together(std::move(jobs), readings_at_once);
    co_await std::move(remembered);

    jobs.clear();
    for (const auto& [place, entries] : lists_) {
        if (place.first == vault->name && place.second != vault->state_path && entries.has_value() &&
            entries.value().empty())
            jobs.push_back(look_at_folder(client, vault->name, place.second));
    }
    auto looked = together(std::move(jobs), readings_at_once);
    co_await std::move(looked);
    observe_folders(*vault);
}

asio::awaitable<void> gatherer::list(provider::infisical* client, std::string vault, std::string path) {
    auto entries = co_await client->list(path);
    lists_.insert_or_assign({std::move(vault), std::move(path)}, std::move(entries));
}

asio::awaitable<void> gatherer::look_at_folder(provider::infisical* client, std::string vault, std::string path) {
    auto exists = co_await client->folder_exists(path);
    exist_.insert_or_assign({std::move(vault), std::move(path)}, std::move(exists));
}

void gatherer::observe_state(const domain::infisical_vault& vault) {
    auto& reading = world_.vaults[vault.name];
    reading.seen.emplace();
    const auto& entries = lists_.at({vault.name, vault.state_path});
    if (entries.has_error()) {
        reading->state.failure = entries.error();
        return;
    }
    auto state = view_of_state(entries.value(), vault.name, around_.ring);
    if (state.has_value())
        reading->state.seen = std::move(state.value());
    else
        reading->state.failure = state.error();
}

std::set<std::string> gatherer::folders_of_records(const domain::infisical_vault& vault) const {
    std::set<std::string> paths;
    const auto& state = world_.vaults.at(vault.name)->state;
    if (!state)
        return paths;
    for (const auto& [token, record] : state->records) {
        if (!record.path.empty())
            paths.insert(record.path);
    }
    return paths;
}

void gatherer::observe_folders(const domain::infisical_vault& vault) {
    auto& reading = world_.vaults[vault.name];
    std::map<std::string, std::set<std::string>> keys; // by path
    for (const auto& token : around_.wanted.tokens) {
        if (token.vault == vault.name)
            keys[token.path].insert(token.key);
    }
    if (reading->state) {
        for (const auto& [token, record] : reading->state->records) {
            if (!record.path.empty())
                keys[record.path].insert(record.key);
        }
    }
    for (const auto& [path, wanted_keys] : keys) {
        auto& folder = reading->folders[path];
        const auto& entries = lists_.at({vault.name, path});
        auto exists = exist_.find({vault.name, path});
        if (entries.has_error()) {
            folder.failure = entries.error();
        } else if (exists != exist_.end() && exists->second.has_error()) {
            folder.failure = exists->second.error();
        } else {
            folder.seen.emplace();
            folder->exists = exists == exist_.end() || exists->second.value();
            folder->values = view_of_folder(entries.value(), wanted_keys, vault.name, around_.ring);
        }
    }
    fail_as_one(reading);
}

// A vault that answers nothing at all has one failure, not one per folder.
void gatherer::fail_as_one(domain::reading<domain::vault_view>& reading) {
    if (!reading->state.failure)
        return;
    for (const auto& [path, folder] : reading->folders) {
        if (folder)
            return;
    }
    reading.failure = reading->state.failure;
    reading.seen.reset();
}

asio::awaitable<void> gatherer::read_account(const domain::cloudflare_account* account) {
    auto& reading = world_.accounts[account->name];
    auto opened = around_.remotes.open(*account, sources{around_.process, lists_});
    if (opened.has_error()) {
        reading.failure = opened.error();
        co_return;
    }
    account_reading into;
    into.client = opened.value();
    into.view.id = around_.remotes.account_id(account->name);
    std::vector<asio::awaitable<void>> jobs;
    jobs.push_back(read_tokens(&into));
    jobs.push_back(read_applications(&into));
    jobs.push_back(read_strict(&into));
    auto all = together(std::move(jobs), readings_at_once);
    co_await std::move(all);
    // Without a status nothing was sent: why is known already.
    if (into.failure && into.failure->kind == error_kind::credential && into.failure->status != 0) {
        auto why = explain_refusal(&into);
        co_await std::move(why);
    }
    into.view.skew = into.client->skew().value_or(duration{});
    if (into.failure)
        reading.failure = std::move(into.failure);
    else
        reading.seen = std::move(into.view);
}

} // namespace postern::run
