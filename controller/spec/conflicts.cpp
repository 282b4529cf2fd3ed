#include "spec/conflicts.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace postern::spec {

namespace {

// Things of which each may be claimed once; the later claim is the one that is reported.
class claims {
public:
    explicit claims(std::vector<problem>& problems) : problems_(problems) {}

    // Nothing is claimed where part of `what` was refused. `what` tells a thing from all others; `message` says what is
    // wrong with claiming it again.
    void claim(std::vector<std::string> what, const document& doc, const json_path& path, const std::string& message) {
        if (std::any_of(what.begin(), what.end(), [](const auto& part) { return part.empty(); }))
            return;
        const auto [at, is_first] = owners_.emplace(std::move(what), &doc);
        if (!is_first)
            doc.report(problems_, path, message + ": first at " + at->second->place());
    }

private:
    std::vector<problem>& problems_;
    std::map<std::vector<std::string>, const document*> owners_;
};

template<class T>
const T* find(const std::vector<draft<T>>& among, std::string_view name) {
    const auto at = std::find_if(among.begin(), among.end(), [&](const auto& d) { return d.value.name == name; });
    return at == among.end() ? nullptr : &at->value;
}

// Two documents may name one vault, or one account: what it is in the world tells.
std::string vault_in_the_world(const drafts& all, const std::string& name) {
    const auto* vault = find(all.vaults, name);
    if (vault == nullptr)
        return name;
    return join({vault->url, vault->project_id, vault->project_slug, vault->environment}, "\n");
}

std::string account_in_the_world(const drafts& all, const std::string& name) {
    const auto* account = find(all.cloudflare, name);
    const auto* id = account == nullptr ? nullptr : std::get_if<std::string>(&account->account_id);
    return id == nullptr ? name : account->api_url + "\n" + *id;
}

std::string heroku_in_the_world(const drafts& all, const std::string& name) {
    const auto* account = find(all.heroku, name);
    return account == nullptr ? name : account->api_url;
}

void find_token_conflicts(const drafts& all, claims& taken) {
    for (const auto& [doc, token] : all.tokens) {

        const auto account = account_in_the_world(all, token.account);
        taken.claim({"token", account, token.display_name}, *doc, spec_path / "displayName",
                    "two tokens of one account have this display name");
        taken.claim({"key", vault_in_the_world(all, token.vault), token.path, token.key}, *doc,
                    spec_path / "credential" / "key", "two tokens store their credential under this key");
        taken.claim({"adopt", account, token.adopt}, *doc, spec_path / "adopt" / "tokenId",
                    "two documents adopt this token");
    }
}

void find_policy_conflicts(const drafts& all, claims& taken) {
    for (const auto& [doc, binding] : all.bindings) {

        for (std::size_t i = 0; i < binding.applications.size(); ++i) {
            const auto& application = binding.applications[i];
            taken.claim({"policy", account_in_the_world(all, binding.account), binding.policy_name,
                         std::to_string(static_cast<int>(application.by)), application.text},
                        *doc, spec_path / "applications" / i,
                        "two policies of one name, \"" + binding.policy_name + "\", on this application");
        }
    }
}

void find_config_var_conflicts(const drafts& all, claims& taken) {
    for (const auto& [doc, binding] : all.heroku_bindings) {
        for (std::size_t i = 0; i < binding.apps.size(); ++i) {
            for (const auto& var : std::set{binding.config_var, binding.client_id_var, binding.client_secret_var}) {
                taken.claim({"var", heroku_in_the_world(all, binding.account), binding.apps[i], var}, *doc,
                            spec_path / "apps" / i, "config var " + var + " of this app is set by two bindings");
            }
        }
    }
}

// Postern's own folder is nobody else's, under whatever names the documents know the vault.
void find_shared_state(const drafts& all, std::vector<problem>& problems) {
    for (const auto& [vault_doc, vault] : all.vaults) {
        if (vault.state_path.empty())
            continue;
        const auto here = vault_in_the_world(all, vault.name);
        const auto message = "must not be the statePath of vault " + vault.name;
        for (const auto& [doc, other] : all.vaults) {
            for (const auto& [vendor_name, folder] : other.vendor_paths) {
                if (folder == vault.state_path && vault_in_the_world(all, other.name) == here)
                    doc->report(problems, spec_path / "vendorPaths" / vendor_name, message);
            }
        }
        for (const auto& [doc, token] : all.tokens) {
            if (token.path == vault.state_path && vault_in_the_world(all, token.vault) == here)
                doc->report(problems, spec_path / "credential" / "path", message);
        }
    }
}

// A credential must not be written over a key from which one of the connections logs in.
template<class T>
void find_overwritten_logins(drafts& all, std::vector<draft<T>>& connections, std::vector<problem>& problems) {
    for (auto& d : connections) {
        for (const auto& [path, source] : sources_of(d.value)) {
            const auto* from = std::get_if<domain::from_vault>(source);
            for (const auto& [doc, token] : all.tokens) {
                if (from != nullptr && !token.path.empty() && from->path == token.path && from->key == token.key &&
                    vault_in_the_world(all, from->vault) == vault_in_the_world(all, token.vault))
                    doc->report(problems, spec_path / "credential" / "key",
                                "would be written over what " + d.doc->kind + " " + d.value.name + " logs in with");
            }
        }
    }
}

// Whether the login of `from` comes, over however many vaults, from `to`.
bool leads_to(drafts& all, const std::string& from, const std::string& to, std::set<std::string>& seen) {
    if (!seen.insert(from).second)
        return false;
    const auto at = std::find_if(all.vaults.begin(), all.vaults.end(), [&](auto& d) { return d.value.name == from; });
    if (at == all.vaults.end())
        return false;
    const auto sources = sources_of(at->value);
    return std::any_of(sources.begin(), sources.end(), [&](const placed_source& placed) {
        const auto* source = std::get_if<domain::from_vault>(placed.source);
        return source != nullptr && (source->vault == to || leads_to(all, source->vault, to, seen));
    });
}

void find_login_cycles(drafts& all, std::vector<problem>& problems) {
    for (auto& d : all.vaults) {
        for (const auto& [path, source] : sources_of(d.value)) {
            const auto* from = std::get_if<domain::from_vault>(source);
            std::set<std::string> seen;
            if (from == nullptr)
                continue;
            if (from->vault == d.value.name)
                d.doc->report(problems, path, "a vault cannot hold its own login");
            else if (leads_to(all, from->vault, d.value.name, seen))
                d.doc->report(problems, path,
                              "the login of this vault comes, by way of vault " + from->vault + ", from itself");
        }
    }
}

} // namespace

void find_conflicts(drafts& all, std::vector<problem>& problems) {
    claims taken(problems);
    find_token_conflicts(all, taken);
    find_policy_conflicts(all, taken);
    find_config_var_conflicts(all, taken);
    find_shared_state(all, problems);
    find_overwritten_logins(all, all.vaults, problems);
    find_overwritten_logins(all, all.cloudflare, problems);
    find_overwritten_logins(all, all.heroku, problems);
    find_login_cycles(all, problems);
}

} // namespace postern::spec
