// What POST /state/<part> does, one function each.
#include "cloud/control_json.hpp"

#include <stdexcept>

namespace postern::testcloud {

namespace {

json::value write_app(cloud& of, const json::object& body) {
    auto& app = of.access.add_application(text_at(body, "name").value_or("App"), text_at(body, "domain").value_or(""),
                                          text_at(body, "id").value_or(""));
    const std::string target = "/client/v4/accounts/" + of.access.account_id + "/access/apps/" + app.id + "/policies";
    if (const auto* policies = array_at(body, "policies"))
        for (const auto& p : *policies)
            result_of(of.as_operator(service::cloudflare, "POST", target, p));
    return json::object{{"id", app.id}, {"aud", app.aud}};
}

json::value write_token(cloud& of, const json::object& body) {
    const auto id = text_at(body, "id");
    if (id && !of.access.config.tokens.contains(*id))
        throw std::runtime_error("no such token");
    auto& token =
        id ? of.access.config.tokens.at(*id)
           : of.access.mint(text_at(body, "name").value_or("token"), text_at(body, "duration").value_or("8760h"));
    token.name = text_at(body, "name").value_or(token.name);
    token.enabled = flag_at(body, "enabled").value_or(token.enabled);
    if (const auto seconds = number_at(body, "expiresInSeconds"))
        token.expires_at = whole_seconds(of.time.now() + std::chrono::seconds{*seconds});
    json::object out{{"id", token.id}, {"client_id", token.client_id}, {"client_secret", token.secret}};
    return out;
}

json::value clean_up(cloud& of, const json::object& body) {
    const auto found = of.access.config.tokens.find(text_at(body, "tokenId").value_or(""));
    if (found == of.access.config.tokens.end())
        throw std::runtime_error("no such token");
    if (text_at(body, "action") == "delete")
        of.access.config.tokens.erase(found);
    else
        found->second.enabled = false;
    return json::object{{"ok", true}};
}

json::value write_organization(cloud& of, const json::object& body) {
    auto& org = of.access.config.org;
    org.strict_service_token_auth = flag_at(body, "strict").value_or(org.strict_service_token_auth);
    org.auth_domain = text_at(body, "authDomain").value_or(org.auth_domain);
    if (const auto* inactivity = object_at(body, "inactivity"))
        org.service_token_inactivity = *inactivity;
    return json::object{{"ok", true}};
}

json::value write_api_token(cloud& of, const json::object& body) {
    const auto value = text_at(body, "value").value_or(dice::secret("cfut_", 40));
    api_token* token = nullptr;
    for (auto& t : of.access.api_tokens)
        if (t.value == value)
            token = &t;
    if (token == nullptr) {
        of.access.api_tokens.push_back({of.ids.hex(32), value, false, "active", std::nullopt, {"*"}});
        of.ledger.give(of.time.now(), "api token", "cloudflare", value);
        token = &of.access.api_tokens.back();
    }
    token->account_owned = flag_at(body, "accountOwned").value_or(token->account_owned);
    token->status = text_at(body, "status").value_or(token->status);
    if (const auto* scopes = array_at(body, "scopes"))
        token->scopes = texts(*scopes);
    if (const auto seconds = number_at(body, "expiresInSeconds"))
        token->expires_on = of.time.now() + std::chrono::seconds{*seconds};
    return json::object{{"id", token->id}, {"value", token->value}};
}

json::value write_vault(cloud& of, const json::object& body) {
    auto* env = of.vault.environment(text_at(body, "environment").value_or("prod"));
    const auto path = text_at(body, "path").value_or("/");
    if (env == nullptr || !path.starts_with('/'))
        throw std::runtime_error("no such place");
    auto& folder = of.vault.folder(*env, path);
    const auto key = text_at(body, "key");
    const auto value = text_at(body, "value");
    if (key && value)
        of.vault.put(folder, *key, *value, flag_at(body, "duplicate").value_or(false));
    else if (key)
        folder.secrets.erase(*key);
    return json::object{{"ok", true}};
}

json::value write_identity(cloud& of, const json::object& body) {
    machine_identity* identity = nullptr;
    if (const auto client_id = text_at(body, "clientId")) {
        for (auto& i : of.vault.identities)
            if (i.client_id == *client_id)
                identity = &i;
        if (identity == nullptr)
            throw std::runtime_error("no such identity");
    } else {
        identity = &of.vault.add_identity();
    }
    identity->role = text_at(body, "role").value_or(identity->role);
    identity->ttl = number_at(body, "ttl").value_or(identity->ttl);
    identity->max_ttl = number_at(body, "maxTtl").value_or(identity->max_ttl);
    identity->uses_limit = number_at(body, "usesLimit").value_or(identity->uses_limit);
    if (flag_at(body, "dropSecrets").value_or(false))
        identity->client_secrets.clear();
    if (flag_at(body, "addSecret").value_or(false)) {
        identity->client_secrets.push_back(dice::secret("", 64));
        of.ledger.give(of.time.now(), "vault client secret", identity->client_id, identity->client_secrets.back());
    }
    if (flag_at(body, "unlock").value_or(false))
        identity->locked_until = {};
    json::object out{{"clientId", identity->client_id}, {"id", identity->id}};
    out["clientSecret"] = identity->client_secrets.empty() ? "" : identity->client_secrets.back();
    return out;
}

json::value write_heroku_app(cloud& of, const json::object& body) {
    const auto name = text_at(body, "name").value_or("");
    heroku_app* app = nullptr;
    for (auto& a : of.platform.apps)
        if (a.name == name || a.id == name)
            app = &a;
    if (app == nullptr)
        app = &of.platform.add_app(name);
    app->locked = flag_at(body, "locked").value_or(app->locked);
    app->gone = flag_at(body, "gone").value_or(app->gone);
    app->two_factor = flag_at(body, "twoFactor").value_or(app->two_factor);
    app->maintenance = flag_at(body, "maintenance").value_or(app->maintenance);
    if (const auto* keys = array_at(body, "attachments"))
        app->attachment_keys = texts(*keys);
    if (const auto* keys = array_at(body, "masked"))
        app->masked_keys = texts(*keys);
    if (const auto* phase = body.if_contains("releasePhase")) {
        app->phase = {};
        if (const auto* o = phase->if_object()) {
            app->phase.present = true;
            app->phase.takes = std::chrono::seconds{number_at(*o, "seconds").value_or(30)};
            app->phase.fails = flag_at(*o, "fails").value_or(false);
            app->phase.stuck = flag_at(*o, "stuck").value_or(false);
        }
    }
    if (const auto* vars = object_at(body, "config"))
        for (const auto& item : *vars)
            of.platform.set(*app, std::string{item.key()},
                            item.value().is_string() ? std::optional<std::string>{item.value().get_string()}
                                                     : std::nullopt);
    return json::object{{"id", app->id}, {"name", app->name}};
}

json::value write_heroku_key(cloud& of, const json::object& body) {
    const auto value = text_at(body, "value").value_or(dice::secret("HRKU-", 36));
    heroku_key* key = nullptr;
    for (auto& k : of.platform.keys)
        if (k.value == value)
            key = &k;
    if (key == nullptr) {
        of.platform.keys.push_back({value, {"global"}, true});
        of.ledger.give(of.time.now(), "api key", "heroku", value);
        key = &of.platform.keys.back();
    }
    if (const auto* scopes = array_at(body, "scopes"))
        key->scopes = texts(*scopes);
    key->valid = flag_at(body, "valid").value_or(key->valid);
    return json::object{{"value", key->value}};
}

json::value write_host(cloud& of, const json::object& body) {
    auto& host = of.network.hosts[text_at(body, "host").value_or("")];
    host.outside_access = flag_at(body, "outsideAccess").value_or(host.outside_access);
    host.waf = flag_at(body, "waf").value_or(host.waf);
    host.status = static_cast<int>(number_at(body, "status").value_or(host.status));
    host.body = text_at(body, "body").value_or(host.body);
    if (body.contains("failing"))
        host.failing.reset();
    if (const auto status = number_at(body, "failing"))
        host.failing = static_cast<int>(*status);
    if (const auto* headers = object_at(body, "headers")) {
        host.headers.clear();
        for (const auto& h : *headers)
            host.headers.push_back({std::string{h.key()}, std::string{h.value().as_string()}});
    }
    return json::object{{"ok", true}};
}

json::value write_edges(cloud& of, const json::object& body) {
    std::vector<duration> delays;
    if (const auto* wanted = array_at(body, "delaysMs"))
        for (const auto& d : *wanted)
            delays.emplace_back(d.to_number<std::int64_t>());
    if (delays.empty())
        throw std::runtime_error("\"delaysMs\" is empty");
    of.network.set_delays(std::move(delays));
    return json::object{{"ok", true}};
}

json::value write_skew(cloud& of, const json::object& body) {
    const auto to = parse_service(text_at(body, "service").value_or(""));
    if (!to)
        throw std::runtime_error("\"service\" is none that I know");
    of.date_skew[*to] = std::chrono::seconds{number_at(body, "seconds").value_or(0)};
    return json::object{{"ok", true}};
}

json::value write_switches(cloud& of, const json::object& body) {
    set_switches(of, body);
    return json::object{{"ok", true}};
}

} // namespace

json::value write_part(cloud& of, const std::string& part, const json::object& body) {
    static const std::map<std::string, json::value (*)(cloud&, const json::object&)> parts{
        {"apps", write_app},
        {"tokens", write_token},
        {"cleanup", clean_up},
        {"organization", write_organization},
        {"api-tokens", write_api_token},
        {"vault", write_vault},
        {"identities", write_identity},
        {"heroku-apps", write_heroku_app},
        {"heroku-keys", write_heroku_key},
        {"hosts", write_host},
        {"edges", write_edges},
        {"clock-skew", write_skew},
        {"switches", write_switches}};
    const auto found = parts.find(part);
    if (found == parts.end())
        return nullptr;
    return found->second(of, body);
}

} // namespace postern::testcloud
