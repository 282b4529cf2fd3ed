#include "cloud/control_json.hpp"

#include <stdexcept>

namespace postern::testcloud {

namespace {

json::object state_of_heroku(heroku& platform) {
    json::array apps;
    for (const auto& app : platform.apps) {
        json::object vars;
        for (const auto& [key, value] : app.config)
            vars[key] = value;
        json::array releases;
        for (const auto& made : app.releases)
            releases.push_back({{"version", made.version},
                                {"status", made.status},
                                {"description", made.description},
                                {"user", made.user_email}});
        apps.push_back({{"id", app.id},
                        {"name", app.name},
                        {"config", vars},
                        {"releases", releases},
                        {"restarts", app.restarts},
                        {"locked", app.locked},
                        {"gone", app.gone},
                        {"twoFactor", app.two_factor}});
    }
    json::object out{{"apps", apps}};
    return out;
}

json::object state_of_vault(infisical& vault) {
    json::array folders;
    for (const auto& env : vault.environments)
        for (const auto& [path, f] : env.folders) {
            json::array rows;
            for (const auto& [key, row] : f.secrets)
                rows.push_back(
                    {{"key", key}, {"value", row.value}, {"version", row.version}, {"comment", row.comment}});
            folders.push_back({{"environment", env.slug}, {"path", path}, {"secrets", rows}});
        }
    json::array identities;
    for (const auto& i : vault.identities)
        identities.push_back({{"clientId", i.client_id}, {"role", i.role}, {"badLogins", i.bad_logins}});
    json::object out{{"projectId", vault.project_id},
                     {"projectSlug", vault.project_slug},
                     {"folders", folders},
                     {"identities", identities}};
    return out;
}

json::object state_of_cloudflare(cloud& of) {
    const std::string base = "/client/v4/accounts/" + of.access.account_id + "/access";
    const auto most = of.access.switches.per_page_cap;
    auto list = [&](const std::string& what) {
        json::array all;
        for (int page = 1;; ++page) {
            auto target = base + what + "?per_page=" + std::to_string(most) + "&page=" + std::to_string(page);
            const auto more =
                result_of(of.access.serve(make_request(service::cloudflare, "GET", std::move(target)), true))
                    .as_array();
            all.insert(all.end(), more.begin(), more.end());
            if (more.size() < most)
                return all;
        }
    };
    json::object out{{"accountId", of.access.account_id},
                     {"tokens", list("/service_tokens")},
                     {"apps", list("/apps")},
                     {"policies", list("/policies")},
                     {"groups", list("/groups")},
                     {"strict", of.access.config.org.strict_service_token_auth}};
    json::object secrets;
    for (const auto& [id, token] : of.access.config.tokens) {
        json::object one{{"secret", token.secret}};
        if (token.previous_secret && of.time.now() < token.previous_until) {
            one["previous"] = *token.previous_secret;
            one["previousUntil"] = format_instant(token.previous_until);
        }
        secrets[id] = one;
    }
    out["secrets"] = secrets;
    return out;
}

} // namespace

json::object books_json(const cloud& of) {
    json::array requests;
    for (const auto& e : of.ledger.requests())
        requests.push_back(to_json(e));
    json::array refusals;
    for (const auto& r : of.checks.all_refusals())
        refusals.push_back(to_json(r));
    json::object counts;
    for (const auto& [name, count] : of.ledger.counts())
        counts[name] = count;
    json::array consumers;
    for (const auto& [name, who] : of.checks.consumers())
        consumers.push_back({{"name", name}, {"hosts", to_array(who.hosts)}, {"broken", !who.broken.empty()}});
    return {{"requests", requests}, {"refusals", refusals}, {"counts", counts}, {"consumers", consumers}};
}

json::array secrets_json(const books& ledger) {
    json::array out;
    for (const auto& s : ledger.secrets())
        out.push_back({{"kind", s.kind}, {"owner", s.owner}, {"value", s.value}, {"at", format_instant(s.at)}});
    return out;
}

json::object state_json(cloud& of) {
    json::array delays;
    for (const auto d : of.network.delays())
        delays.emplace_back(d.count());
    json::object out{{"cloudflare", state_of_cloudflare(of)},
                     {"infisical", state_of_vault(of.vault)},
                     {"heroku", state_of_heroku(of.platform)},
                     {"edge", {{"delaysMs", delays}}}};
    const auto switches = switches_json(of);
    for (const auto& one : switches)
        out[one.key()].as_object()["switches"] = one.value();
    return out;
}

json::value result_of(const reply& r) {
    if (r.status >= 400)
        throw std::runtime_error(r.body);
    const auto body = r.parsed();
    return body.as_object().at("result");
}

} // namespace postern::testcloud
