#include "spec/drafts.hpp"

#include "base/text.hpp"
#include "spec/fields.hpp"
#include "spec/schema.hpp"

#include <algorithm>
#include <stdexcept>

namespace postern::spec {

namespace {

using domain::service_token;

// Of a folder, without a slash at its end.
std::string folder(std::string path) {
    if (path.ends_with('/'))
        path.pop_back();
    return path;
}

// What reading one document needs and gathers.
class reading {
public:
    reading(const document& doc, const load_options& options, std::vector<problem>& problems)
        : doc_(doc), options_(options), problems_(problems) {}

    void report(const json_path& path, std::string message) { doc_.report(problems_, path, std::move(message)); }

    bool is_whole(const json_path& path) const { return !doc_.is_broken(path); }

    template<class T>
    T value_or_report(const json_path& path, result<T> got) {
        if (got)
            return std::move(*got);
        report(path, got.error().what);
        return {};
    }

    // A duration longer than zero; nothing where the field is absent or wrong.
    std::optional<duration> span(fields& from, std::string_view name) {
        const auto text = from.optional_text(name);
        if (!text)
            return std::nullopt;
        const auto parsed = parse_duration(*text);
        if (parsed && parsed->count() > 0)
            return *parsed;
        report(from.path(name), "must be a duration longer than zero: 8760h, 1h30m, 500ms");
        return std::nullopt;
    }

    domain::value_source source(fields from) {
        const auto env = from.optional_text("env");
        const auto file = from.optional_text("file");
        auto vault = from.optional_section("vault");
        from.done();
        if (env)
            return domain::from_env{value_or_report(from.path("env"), allowed_env(*env, options_))};
        if (file)
            return domain::from_file{value_or_report(from.path("file"), allowed_file(*file, options_))};
        if (!vault)
            return domain::from_env{};
        domain::from_vault out{vault->text("vault"), folder(vault->text("path")), vault->text("key")};
        vault->done();
        return out;
    }

    domain::value_source secret(fields& from, std::string_view name) { return source(from.section(name)); }

    domain::text_value literal_or_source(fields& from, std::string_view name) {
        const auto* given = from.raw(name);
        if (given == nullptr || given->is == node::kind::text)
            return given == nullptr ? "" : given->scalar;
        const auto choices = from.rules(name).alternatives("anyOf");
        return source(fields{*given, choices.back(), from.path(name)});
    }

    std::string api_url(fields& from, std::string_view name, vendor who) {
        return value_or_report(from.path(name), allowed_url(from.text(name), who, options_));
    }

    // A folder of the vault, which its limits allow.
    std::string vault_folder(const json_path& path, std::string text) {
        return value_or_report(path, allowed_folder(folder(std::move(text)), options_));
    }

    const load_options& limits() const { return options_; }

private:
    const document& doc_;
    const load_options& options_;
    std::vector<problem>& problems_;
};

void read(reading& in, fields spec, domain::cloudflare_account& out) {
    out.api_url = in.api_url(spec, "apiUrl", vendor::cloudflare);
    out.account_id = in.literal_or_source(spec, "accountId");
    out.api_token = in.secret(spec, "apiToken");
    out.applications = spec.texts("applications");
    out.only_hosts = in.limits().only_hosts;
    spec.done();
}

void read(reading& in, fields spec, domain::infisical_vault& out) {
    out.url = in.api_url(spec, "url", vendor::infisical);
    out.project_id = spec.text("projectId");
    out.project_slug = spec.text("projectSlug");
    out.environment = spec.text("environment");
    out.state_path = in.vault_folder(spec.path("statePath"), spec.text("statePath"));
    for (const auto& [vendor_name, path] : spec.text_map("vendorPaths"))
        out.vendor_paths[vendor_name] = in.vault_folder(spec.path("vendorPaths") / vendor_name, path);
    auto auth = spec.section("auth");
    auto universal = auth.optional_section("universalAuth");
    if (auth.raw("token") != nullptr)
        out.auth = domain::token_auth{in.secret(auth, "token")};
    if (universal) {
        out.auth =
            domain::universal_auth{in.literal_or_source(*universal, "clientId"), in.secret(*universal, "clientSecret")};
        universal->done();
    }
    auth.done();
    spec.done();
}

void read(reading& in, fields spec, domain::heroku_account& out) {
    out.api_url = in.api_url(spec, "apiUrl", vendor::heroku);
    out.api_key = in.secret(spec, "apiKey");
    out.apps = spec.texts("apps");
    spec.done();
}

domain::strategy strategy_of(std::string_view text) {
    if (text == "InPlace")
        return domain::strategy::in_place;
    return text == "Renew" ? domain::strategy::renew : domain::strategy::replace;
}

// Which times of a rotation exclude each other.
void check_times(reading& in, fields& rotation, const service_token& token) {
    constexpr duration longest_cut_off = std::chrono::hours{30 * 24};
    const auto renew = token.how == domain::strategy::renew;
    if (token.every && renew)
        in.report(rotation.path("every"), "contradicts strategy Renew, which never replaces the secret");
    if (token.every && !renew && *token.every <= token.overlap)
        in.report(rotation.path("every"), "must be longer than the overlap, " + format_duration(token.overlap));
    if (token.how == domain::strategy::in_place && token.overlap > longest_cut_off)
        in.report(rotation.path("overlap"), "must not be longer than 720h with strategy InPlace: Cloudflare lets the "
                                            "old secret live no longer");
    if (!token.lifetime) {
        if (rotation.raw("renewBefore") != nullptr)
            in.report(rotation.path("renewBefore"), "contradicts duration forever: there is no expiry");
        if (renew)
            in.report(rotation.path("strategy"), "contradicts duration forever: there is no expiry to extend");
        return;
    }
    if (*token.lifetime > token.renew_before + token.overlap)
        return;
    const auto shown = [&](std::string_view name, duration value) {
        const auto is_default = rotation.raw(name) == nullptr;
        return std::string(name) + " " + format_duration(value) + (is_default ? " (the default)" : "");
    };
    in.report(spec_path / "duration", token.duration_text + " must be longer than " +
                                          shown("renewBefore", token.renew_before) + " and " +
                                          shown("overlap", token.overlap) + " together");
}

void read_times(reading& in, fields& spec, service_token& out) {
    out.duration_text = spec.text("duration");
    if (out.duration_text != "forever")
        out.lifetime = in.span(spec, "duration");
    auto rotation = spec.section("rotation");
    out.how = strategy_of(rotation.text("strategy"));
    const auto renew_before = in.span(rotation, "renewBefore");
    out.every = in.span(rotation, "every");
    const auto overlap = in.span(rotation, "overlap");
    rotation.done();
    out.overlap = overlap.value_or(duration{});
    if (out.lifetime)
        out.renew_before = renew_before.value_or(*out.lifetime / 12);
    const auto is_readable = out.lifetime || out.duration_text == "forever";
    if (is_readable && overlap && !rotation.has_broken() && in.is_whole(rotation.path()))
        check_times(in, rotation, out);
}

// "I authorize KEY" or "I authorize KEY again DATE", for this key.
void check_authorization(reading& in, const service_token& token) {
    const auto path = spec_path / "authorization";
    const auto wanted = "I authorize " + token.key;
    const auto again = wanted + " again ";
    if (token.key.empty() || token.authorization.empty() || token.authorization == wanted)
        return;
    if (!token.authorization.starts_with(again))
        in.report(path, "authorizes another credential: this one is authorized by \"" + wanted + "\"");
    else if (!parse_instant(token.authorization.substr(again.size()) + "T00:00:00Z"))
        in.report(path, "ends in a date that does not exist");
}

void read(reading& in, fields spec, service_token& out) {
    if (out.name == "postern")
        in.report(json_path{} / "metadata" / "name", "must not be postern, which names a key of Postern's own");
    out.account = spec.text("account");
    out.vault = spec.text("vault");
    out.display_name = spec.optional_text("displayName").value_or(out.name);
    auto credential = spec.section("credential");
    out.key = credential.text("key");
    if (const auto path = credential.text("path"); !path.empty())
        out.path = in.vault_folder(credential.path("path"), path);
    out.cadence_key = credential.text("cadenceKey");
    credential.done();
    read_times(in, spec, out);
    out.authorization = spec.text("authorization");
    check_authorization(in, out);
    if (auto adopt = spec.optional_section("adopt")) {
        out.adopt = adopt->text("tokenId");
        adopt->done();
    }
    out.enforcement = spec.text("mode") == "Observe" ? domain::mode::observe : domain::mode::enforce;
    out.deletion =
        spec.text("deletionPolicy") == "Delete" ? domain::deletion_policy::delete_ : domain::deletion_policy::retain;
    spec.done();
}

domain::application_ref read_application(fields from) {
    using kind = domain::application_ref::kind;
    const auto id = from.optional_text("id");
    const auto host = from.optional_text("domain");
    const auto name = from.optional_text("name");
    from.done();
    if (id)
        return {kind::id, lower(*id)};
    if (name)
        return {kind::name, *name};
    if (!host)
        return {};
    // Paths tell upper from lower case, hosts do not.
    const auto slash = std::min(host->find('/'), host->size());
    return {kind::domain, lower(host->substr(0, slash)) + host->substr(slash)};
}

void read(reading& in, fields spec, domain::access_binding& out) {
    out.tokens = spec.texts("tokens");
    out.policy_name = spec.optional_text("policyName").value_or(out.name + " (service token)");
    for (auto& application : spec.sections("applications"))
        out.applications.push_back(read_application(application));
    auto smoke = spec.section("smokeTest");
    out.smoke.path = smoke.text("path");
    out.smoke.expect_status = smoke.number("expectStatus");
    out.smoke.attempts = smoke.number("attempts");
    out.smoke.interval = in.span(smoke, "interval").value_or(out.smoke.interval);
    out.smoke.hosts = smoke.texts("hosts");
    std::transform(out.smoke.hosts.begin(), out.smoke.hosts.end(), out.smoke.hosts.begin(), lower);
    smoke.done();
    spec.done();
}

void read(reading& in, fields spec, domain::heroku_binding& out) {
    out.account = spec.text("account");
    out.token = spec.text("token");
    out.apps = spec.texts("apps");
    for (std::size_t i = 0; i < out.apps.size(); ++i)
        in.value_or_report(spec.path("apps") / i, allowed_app(out.apps[i], in.limits()));
    out.adopt = spec.flag("adopt");
    out.config_var = spec.text("configVar");
    if (auto two = spec.optional_section("configVars")) {
        out.client_id_var = two->text("clientId");
        out.client_secret_var = two->text("clientSecret");
        if (out.client_id_var == out.client_secret_var)
            in.report(two->path("clientSecret"), "must not be the config var of the client id");
        two->done();
    }
    spec.done();
}

template<class T>
void add(std::vector<draft<T>>& to, const document& doc, reading& in, fields root) {
    root.skip("apiVersion");
    root.skip("kind");
    auto metadata = root.section("metadata");
    draft<T> one{&doc, {}};
    one.value.name = metadata.text("name");
    one.value.at = doc.origin();
    metadata.skip("labels");
    metadata.skip("annotations");
    metadata.done();
    read(in, root.section("spec"), one.value);
    root.done();
    to.push_back(std::move(one));
}

} // namespace

drafts read_documents(const std::vector<document>& documents, const load_options& options,
                      std::vector<problem>& problems) {
    drafts out;
    for (const auto& doc : documents) {
        if (!doc.readable)
            continue;
        reading in(doc, options, problems);
        const fields root{doc.root, schema::of(doc.kind).value(), {}};
        if (doc.kind == "CloudflareAccount")
            add(out.cloudflare, doc, in, root);
        else if (doc.kind == "InfisicalVault")
            add(out.vaults, doc, in, root);
        else if (doc.kind == "HerokuAccount")
            add(out.heroku, doc, in, root);
        else if (doc.kind == "ServiceToken")
            add(out.tokens, doc, in, root);
        else if (doc.kind == "AccessBinding")
            add(out.bindings, doc, in, root);
        else if (doc.kind == "HerokuBinding")
            add(out.heroku_bindings, doc, in, root);
        else
            throw std::logic_error("nobody reads " + doc.kind);
    }
    return out;
}

namespace {

void add_source(std::vector<placed_source>& to, const json_path& path, domain::text_value& value) {
    if (auto* source = std::get_if<domain::value_source>(&value))
        to.push_back({path, source});
}

} // namespace

std::vector<placed_source> sources_of(domain::cloudflare_account& account) {
    std::vector<placed_source> out;
    add_source(out, spec_path / "accountId", account.account_id);
    out.push_back({spec_path / "apiToken", &account.api_token});
    return out;
}

std::vector<placed_source> sources_of(domain::infisical_vault& vault) {
    const auto auth = spec_path / "auth";
    if (auto* token = std::get_if<domain::token_auth>(&vault.auth))
        return {{auth / "token", &token->token}};
    std::vector<placed_source> out;
    auto& login = std::get<domain::universal_auth>(vault.auth);
    add_source(out, auth / "universalAuth" / "clientId", login.client_id);
    out.push_back({auth / "universalAuth" / "clientSecret", &login.client_secret});
    return out;
}

std::vector<placed_source> sources_of(domain::heroku_account& account) {
    return {{spec_path / "apiKey", &account.api_key}};
}

} // namespace postern::spec
