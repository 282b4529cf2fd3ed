#include "rotation/canonical.hpp"

#include "base/text.hpp"
#include "run/key_ring.hpp"
#include "run/record_codec.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace postern::testing {

namespace json = boost::json;

namespace {

constexpr auto state_path = "/MooseQuest/postern";
constexpr auto vault_name = "infisical";

// What stands for an id, a value, a nonce or a fingerprint.
class roles {
public:
    explicit roles(miniature& m) : m_(m) {
        known_[m.cloud.example.api_token] = "the API token";
        read_installation();
        name_tokens();
        name_former_credentials();
        name_policies();
        name_nonces();
    }

    std::string of(const std::string& text) const {
        if (text.empty())
            return "nothing";
        const auto at = known_.find(text);
        if (at != known_.end())
            return at->second;
        const auto colon = text.find(':');
        const bool dead =
            colon != text.npos && m_.cloud.ledger.ever_a_credential(text.substr(0, colon), text.substr(colon + 1));
        return dead ? "credential of a token that is gone" : "unknown " + text;
    }
    bool knows(const std::string& text) const { return known_.contains(text); }
    // The text with every known id in it replaced.
    std::string within(std::string text) const {
        // The longest first: a nonce begins with the installation's id.
        std::vector<std::pair<std::string, std::string>> all{known_.begin(), known_.end()};
        std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
        for (const auto& [id, role] : all) {
            for (auto at = text.find(id); at != text.npos; at = text.find(id, at + role.size() + 2))
                text.replace(at, id.size(), "<" + role + ">");
        }
        return text;
    }

private:
    void read_installation() {
        const auto own = m_.vault_value(state_path, std::string{run::own_key});
        if (own.empty())
            return;
        known_[own] = "Postern's own";
        if (auto read = run::installation_from(secret{own}); read.has_value()) {
            known_[read.value().id] = "the installation";
            ring_.found(vault_name, std::move(read.value()));
            initialised_ = true;
        }
    }

    // Tokens of one name are told apart by whether the vault shows them, then by age.
    void name_tokens() {
        std::vector<const testcloud::service_token*> all;
        for (const auto& [id, token] : m_.cloud.access.config.tokens)
            all.push_back(&token);
        auto shown = [&](const testcloud::service_token& t) {
            for (const auto& [path, folder] : m_.cloud.vault.environment("prod")->folders) {
                for (const auto& [key, row] : folder.secrets) {
                    if (path != state_path && row.value == t.client_id + ":" + t.secret)
                        return true;
                }
            }
            return false;
        };
        std::sort(all.begin(), all.end(), [&](const auto* a, const auto* b) {
            return std::tuple(without_nonce(a->name), !shown(*a), a->created_at, a->id) <
                   std::tuple(without_nonce(b->name), !shown(*b), b->created_at, b->id);
        });
        std::map<std::string, int> seen;
        for (const auto* t : all) {
            auto role = without_nonce(t->name);
            if (const auto nth = ++seen[role]; nth > 1)
                role += " #" + std::to_string(nth);
            known_[t->id] = "token " + role;
            known_[t->client_id] = "client id of " + role;
            know_credential(t->client_id, t->secret, "credential of " + role);
            if (t->previous_secret)
                know_credential(t->client_id, *t->previous_secret, "previous credential of " + role);
        }
    }

    void know_credential(const std::string& client_id, const std::string& client_secret, const std::string& role) {
        const auto text = client_id + ":" + client_secret;
        known_[text] = role;
        if (initialised_)
            known_[ring_.fingerprint(vault_name, secret{text})] = role;
    }

    // What was a token's credential before somebody rotated it.
    void name_former_credentials() {
        for (const auto& [path, folder] : m_.cloud.vault.environment("prod")->folders) {
            for (const auto& [key, row] : folder.secrets) {
                const auto colon = row.value.find(':');
                const auto token = known_.find(row.value.substr(0, colon));
                if (colon != row.value.npos && token != known_.end() && !known_.contains(row.value))
                    know_credential(token->first, row.value.substr(colon + 1), "former credential, " + token->second);
            }
        }
    }

    void name_policies() {
        for (const auto& [app_id, app] : m_.cloud.access.config.apps) {
            int nth = 0;
            for (const auto& link : app.policies)
                known_.emplace(link.policy_id, "policy " + std::to_string(++nth) + " of " + app.name);
        }
    }

    void name_nonces() {
        auto& folders = m_.cloud.vault.environment("prod")->folders;
        const auto own = folders.find(state_path);
        if (own == folders.end())
            return;
        for (const auto& [key, row] : own->second.secrets) {
            const auto dot = key.find('.');
            if (dot == key.npos)
                continue;
            const auto value = known_.find(row.value);
            known_.emplace(key.substr(dot + 1),
                           "nonce of " + (value == known_.end() ? std::string{"no credential"} : value->second));
        }
    }

    static std::string without_nonce(const std::string& name) {
        const auto at = name.find(" (pending ");
        return at == name.npos ? name : name.substr(0, at) + " (pending)";
    }

    miniature& m_;
    run::key_ring ring_;
    bool initialised_ = false;
    std::map<std::string, std::string> known_;
};

std::string text_of(const std::optional<domain::credential>& c, const roles& is) {
    if (!c)
        return "none";
    return is.of(c->token_id) + ", " + is.of(c->fingerprint) + ", kept under " + is.of(c->nonce);
}

std::string text_of(const domain::record& r, const roles& is) {
    std::string out = "record of " + r.account + ", " + r.path + "/" + r.key + ", installation " +
                      is.of(r.installation) + (r.deletion == domain::deletion_policy::delete_ ? ", delete" : "");
    out += "; current " + text_of(r.current, is) + "; previous " + text_of(r.previous, is);
    out += r.previous_until ? " until a day" : "";
    out += r.cut_off ? ", cut off" : "";
    for (const auto& c : r.lingering)
        out += "; lingering " + text_of(c, is);
    out += r.request && !r.request->done ? "; REQUEST " + r.request->reason : "";
    out += r.pending ? "; PENDING " + r.pending->reason : "";
    out += r.reason.empty() ? "" : "; reason " + r.reason;
    out += "; confirmed " + is.of(r.confirmed);
    for (const auto& p : r.policies) {
        std::vector<std::string> put;
        for (const auto& id : p.put) {
            if (is.knows(id)) // else its token is gone
                put.push_back(is.of(id));
        }
        std::sort(put.begin(), put.end());
        out += "; " + p.binding + " at " + is.of(p.policy) + " put " + join(put, ", ") + " proved " + is.of(p.proved);
    }
    for (const auto& d : r.deliveries)
        out += "; app " + d.app + " " + join(d.vars, ",") + " intended " + is.of(d.intended) + " delivered " +
               is.of(d.delivered);
    for (const auto& word : r.authorizations)
        out += "; word " + word;
    return out;
}

std::string rules_of(const json::array& rules, const roles& is) {
    std::vector<std::string> out;
    for (const auto& rule : rules)
        out.push_back(is.within(json::serialize(rule)));
    std::sort(out.begin(), out.end());
    return join(out, " ");
}

} // namespace

std::string canonical(miniature& m) {
    const roles is{m};
    std::vector<std::string> lines;
    for (const auto& [id, t] : m.cloud.access.config.tokens)
        lines.push_back(is.of(id) + " named " + is.within(t.name) + " for " + t.duration +
                        (t.enabled ? "" : " DISABLED") + (t.expired(m.cloud.time.now()) ? " EXPIRED" : "") +
                        (t.previous_secret && t.previous_until > m.cloud.time.now() ? ", former secret lives" : ""));
    std::set<std::string> linked;
    for (const auto& [id, app] : m.cloud.access.config.apps) {
        int nth = 0;
        for (const auto& link : app.policies) {
            const auto& p = m.cloud.access.config.policies.at(link.policy_id);
            linked.insert(p.id);
            lines.push_back("policy " + std::to_string(++nth) + " of " + app.name + ": " + p.name + " " + p.decision +
                            (p.reusable ? " reusable" : "") + " include " + rules_of(p.include, is) + " exclude " +
                            rules_of(p.exclude, is) + " require " + rules_of(p.require, is));
        }
    }
    for (const auto& [id, p] : m.cloud.access.config.policies) {
        if (!linked.contains(id))
            lines.push_back("policy of nothing: " + p.name + " " + p.decision + " " + rules_of(p.include, is));
    }
    for (const auto& [path, folder] : m.cloud.vault.environment("prod")->folders) {
        lines.push_back("folder " + path);
        for (const auto& [key, row] : folder.secrets) {
            const bool is_record = path == state_path && key.find('.') == key.npos && key != run::own_key;
            auto record = is_record ? std::optional{run::record_from(row.value)} : std::nullopt;
            lines.push_back(path + " " + is.within(key) + " = " +
                            (record && record->has_value() ? text_of(record->value(), is) : is.of(row.value)));
        }
    }
    for (const auto& app : m.cloud.platform.apps) {
        for (const auto& [key, value] : app.config)
            lines.push_back("app " + app.name + " " + key + " = " + is.of(value));
        std::string releases;
        for (const auto& r : app.releases)
            releases += (releases.empty() ? "" : ", ") + r.description + " " + r.status;
        lines.push_back("app " + app.name + " released: " + releases);
    }
    std::sort(lines.begin(), lines.end());
    return join(lines, "\n") + "\n";
}

std::string without_echoes(const std::string& canonical_text) {
    std::vector<std::string> lines;
    for (auto line : split(canonical_text, '\n')) {
        const auto list = line.find(" released: ");
        std::string kept{line.substr(0, list)};
        std::string_view before;
        for (auto release : split(list == line.npos ? std::string_view{} : line.substr(list), ',')) {
            if (release != before)
                kept += release;
            before = release;
        }
        lines.push_back(std::move(kept));
    }
    lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
    return join(lines, "\n");
}

std::string difference(const std::string& before, const std::string& now) {
    auto lines_of = [](const std::string& text) {
        std::multiset<std::string> out;
        for (auto line : split(text, '\n'))
            out.emplace(line);
        return out;
    };
    auto old_lines = lines_of(before);
    std::string out;
    for (const auto& line : lines_of(now)) {
        if (const auto at = old_lines.find(line); at != old_lines.end())
            old_lines.erase(at);
        else
            out += "+ " + line + "\n";
    }
    for (const auto& line : old_lines)
        out += "- " + line + "\n";
    return out;
}

} // namespace postern::testing
