#include "spec/resolve.hpp"

#include "base/text.hpp"
#include "spec/schema.hpp"

#include <algorithm>
#include <regex>

namespace postern::spec {

namespace {

template<class T>
T* find(std::vector<draft<T>>& among, std::string_view name) {
    const auto at = std::find_if(among.begin(), among.end(), [&](const auto& d) { return d.value.name == name; });
    return at == among.end() ? nullptr : &at->value;
}

std::string_view host_of(std::string_view application_domain) {
    return application_domain.substr(0, application_domain.find('/'));
}

class resolver {
public:
    resolver(drafts& all, const known_names& names, std::vector<problem>& problems)
        : all_(all), names_(names), problems_(problems) {}

    void resolve(draft<domain::infisical_vault>& d) { resolve_sources(d, "infisical"); }
    void resolve(draft<domain::cloudflare_account>& d) { resolve_sources(d, "cloudflare"); }
    void resolve(draft<domain::heroku_account>& d) { resolve_sources(d, "heroku"); }

    void resolve(draft<domain::service_token>& d) {
        refer(*d.doc, spec_path / "account", "CloudflareAccount", d.value.account);
        refer(*d.doc, spec_path / "vault", "InfisicalVault", d.value.vault);
        const auto* vault = find(all_.vaults, d.value.vault);
        if (vault == nullptr)
            return;
        if (d.value.path.empty())
            d.value.path = vendor_path(*d.doc, spec_path / "credential" / "path", *vault, "cloudflare");
    }

    void resolve(draft<domain::access_binding>& d) {
        for (std::size_t i = 0; i < d.value.tokens.size(); ++i) {
            const auto path = spec_path / "tokens" / i;
            refer(*d.doc, path, "ServiceToken", d.value.tokens[i]);
            const auto* token = find(all_.tokens, d.value.tokens[i]);
            if (token == nullptr || token->account.empty())
                continue;
            if (d.value.account.empty())
                d.value.account = token->account;
            else if (d.value.account != token->account)
                report(*d.doc, path,
                       "is a token of account " + token->account + ", the tokens before it are of " + d.value.account);
        }
        const auto* account = find(all_.cloudflare, d.value.account);
        if (account != nullptr)
            check_hosts(d, *account);
    }

    void resolve(draft<domain::heroku_binding>& d) {
        refer(*d.doc, spec_path / "account", "HerokuAccount", d.value.account);
        refer(*d.doc, spec_path / "token", "ServiceToken", d.value.token);
        if (const auto* account = find(all_.heroku, d.value.account)) {
            for (std::size_t i = 0; i < d.value.apps.size(); ++i) {
                if (!is_allowed(account->apps, d.value.apps[i]))
                    report(*d.doc, spec_path / "apps" / i,
                           "is none of the apps that account " + account->name + " may touch");
            }
        }
        const auto* token = find(all_.tokens, d.value.token);
        const auto names_none = d.value.config_var.empty() && d.value.client_id_var.empty();
        if (token != nullptr && names_none && !token->key.empty() && !d.doc->is_broken(spec_path / "configVars"))
            default_config_var(d, token->key);
    }

private:
    void report(const document& doc, const json_path& path, std::string message, std::string suggestion = {}) {
        doc.report(problems_, path, std::move(message), std::move(suggestion));
    }

    // Fills in the name where it was left out and only one document can be meant; reports one that does not exist.
    // `quote` is false where the name stands below a secret field.
    void refer(const document& doc, const json_path& path, std::string_view kind, std::string& name,
               bool quote = true) {
        static const std::vector<std::string> none;
        const auto found = names_.by_kind.find(kind);
        const auto& known = found == names_.by_kind.end() ? none : found->second;
        if (name.empty() && known.size() == 1 && names_.complete)
            name = known.front();
        if (!names_.complete || std::find(known.begin(), known.end(), name) != known.end())
            return;
        if (known.empty())
            report(doc, path, "there is no " + std::string(kind));
        else if (name.empty())
            report(doc, path, "which " + std::string(kind) + " is not clear: there are " + join(known, ", "));
        else
            report(doc, path, "there is no " + std::string(kind) + (quote ? " \"" + name + "\"" : " of this name"),
                   nearest(name, known).value_or(""));
    }

    // The vault's folder for a vendor; "" and a problem where it has none.
    std::string vendor_path(const document& doc, const json_path& path, const domain::infisical_vault& vault,
                            const std::string& vendor_name) {
        const auto at = vault.vendor_paths.find(vendor_name);
        if (at != vault.vendor_paths.end())
            return at->second;
        report(doc, path, "is needed: vault " + vault.name + " has no vendor path for " + vendor_name);
        return {};
    }

    template<class T>
    void resolve_sources(draft<T>& d, const std::string& vendor_name) {
        for (auto& [path, source] : sources_of(d.value)) {
            if (auto* from = std::get_if<domain::from_vault>(source))
                resolve_source(*d.doc, path / "vault", *from, vendor_name);
        }
    }

    void resolve_source(const document& doc, const json_path& path, domain::from_vault& from,
                        const std::string& vendor_name) {
        refer(doc, path / "vault", "InfisicalVault", from.vault, false);
        const auto* vault = find(all_.vaults, from.vault);
        if (vault == nullptr)
            return;
        std::vector<std::string> folders;
        folders.reserve(vault->vendor_paths.size());
        for (const auto& [name, folder] : vault->vendor_paths)
            folders.push_back(folder);
        if (from.path.empty())
            from.path = vendor_path(doc, path / "path", *vault, vendor_name);
        else if (std::find(folders.begin(), folders.end(), from.path) == folders.end())
            report(doc, path / "path", "is none of the vendor paths of vault " + vault->name,
                   nearest(from.path, folders).value_or(""));
    }

    // What the account's list of hosts and the operator's allow, as far as the documents tell.
    void check_hosts(draft<domain::access_binding>& d, const domain::cloudflare_account& account) {
        const auto check = [&](std::string_view host, const json_path& path) {
            if (!is_allowed(account.applications, host))
                report(*d.doc, path, "is none of the hosts that account " + account.name + " may touch");
            else if (!is_allowed(account.only_hosts, host))
                report(*d.doc, path, "is none of the hosts that this Postern may touch (--only-hosts)");
        };
        for (std::size_t i = 0; i < d.value.applications.size(); ++i) {
            const auto& application = d.value.applications[i];
            if (application.by == domain::application_ref::kind::domain)
                check(host_of(application.text), spec_path / "applications" / i / "domain");
        }
        for (std::size_t i = 0; i < d.value.smoke.hosts.size(); ++i)
            check(d.value.smoke.hosts[i], spec_path / "smokeTest" / "hosts" / i);
    }

    void default_config_var(draft<domain::heroku_binding>& d, const std::string& key) {
        static const std::regex pattern{schema::of("HerokuBinding")
                                            ->property("spec")
                                            ->property("configVar")
                                            ->keyword("pattern")
                                            ->as_string()
                                            .c_str()};
        if (std::regex_search(key, pattern))
            d.value.config_var = key;
        else
            report(*d.doc, spec_path / "configVar",
                   "is needed: the credential's key " + key + " cannot name a config var");
    }

    drafts& all_;
    const known_names& names_;
    std::vector<problem>& problems_;
};

} // namespace

void resolve(drafts& all, const known_names& names, std::vector<problem>& problems) {
    resolver with(all, names, problems);
    const auto each = [&](auto& list) {
        for (auto& d : list)
            with.resolve(d);
    };
    each(all.vaults);
    each(all.cloudflare);
    each(all.heroku);
    each(all.tokens);
    each(all.bindings);
    each(all.heroku_bindings);
}

} // namespace postern::spec
