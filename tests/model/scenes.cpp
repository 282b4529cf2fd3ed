#include "model/scenes.hpp"

#include "model/explore.hpp"

namespace postern::model {

namespace {

const instant t0 = parse_instant("2026-11-23T10:00:00Z").value();

std::string letter(int i) {
    return std::string(1, static_cast<char>('a' + i));
}

live_policy policy_of(std::string id, std::string name, decision decides, rule who, int precedence) {
    live_policy p;
    p.id = std::move(id);
    p.name = std::move(name);
    p.decides = decides;
    p.precedence = precedence;
    p.include.push_back(std::move(who));
    set_version(p);
    return p;
}

service_token token_named(const std::string& name) {
    service_token t;
    t.name = name;
    t.account = "raxx";
    t.vault = "infisical";
    t.display_name = name;
    t.duration_text = "8760h";
    t.lifetime = std::chrono::hours{8760};
    t.key = "CF_" + name;
    t.path = creds_path;
    t.authorization = "I authorize " + t.key;
    t.renew_before = std::chrono::hours{720};
    t.overlap = std::chrono::hours{48};
    return t;
}

guarded application(const std::string& id) {
    guarded g;
    g.seen.id = id;
    g.seen.name = id;
    g.seen.type = "self_hosted";
    g.seen.destinations = {id + ".raxx.app"};
    g.seen.policies = {
        policy_of("people-" + id, "people", decision::allow, {rule::kind::other, {}, "email_domain raxx.app"}, 1),
        policy_of("theirs-" + id, "theirs", decision::non_identity, {rule::kind::service_token, "f1", {}}, 2),
        policy_of("help-" + id, "help", decision::non_identity, {rule::kind::service_token, "f2", {}}, 3)};
    g.edge = g.seen.policies;
    return g;
}

} // namespace

setting setting_of(std::string name, size_of_scene size) {
    setting in;
    in.name = std::move(name);
    auto& wanted = in.wanted;
    wanted.source = "specs";
    wanted.cloudflare.push_back({.name = "raxx",
                                 .at = {},
                                 .api_url = "https://api.cloudflare.com/client/v4",
                                 .account_id = std::string{"a"},
                                 .api_token = from_env{"CLOUDFLARE_API_TOKEN"},
                                 .applications = {}});
    infisical_vault vault;
    vault.name = "infisical";
    vault.state_path = state_path;
    wanted.vaults.push_back(vault);
    wanted.heroku.push_back({"heroku", {}, "https://api.heroku.com", from_env{"HEROKU_API_KEY"}, {}});
    for (int i = 0; i < size.tokens; ++i) {
        const std::string token = i == 0 ? "probe" : "other";
        wanted.tokens.push_back(token_named(token));
        access_binding b;
        b.name = token;
        b.account = "raxx";
        b.tokens = {token};
        b.policy_name = token + " (service token)";
        for (int a = 0; a < size.applications; ++a)
            b.applications.push_back({application_ref::kind::id, "site-" + letter(a)});
        wanted.bindings.push_back(b);
        heroku_binding h;
        h.name = token;
        h.account = "heroku";
        h.token = token;
        for (int a = 0; a < size.apps; ++a)
            h.apps.push_back("app-" + letter(a));
        h.config_var = "CF_" + token;
        wanted.heroku_bindings.push_back(h);
    }
    return in;
}

state nothing_yet(const setting& in, size_of_scene size) {
    state s;
    s.now = t0;
    s.left = in.most;
    token theirs;
    theirs.seen.id = "f1";
    theirs.seen.client_id = "f1.access";
    theirs.seen.name = "somebody else's";
    theirs.seen.duration = "forever";
    s.world.tokens.push_back(theirs);
    theirs.seen.id = "f2";
    theirs.seen.client_id = "f2.access";
    theirs.seen.name = "for emergencies";
    s.world.tokens.push_back(theirs);
    for (int a = 0; a < size.applications; ++a)
        s.world.applications.push_back(application("site-" + letter(a)));
    s.world.creds["SOMEBODY_ELSES"] = "f1.access:1";
    for (int a = 0; a < size.apps; ++a) {
        auto& app = s.world.apps["app-" + letter(a)];
        app.vars["SOMEBODY_ELSES"] = "f1.access:1";
        app.runs = app.vars;
        app.releases = {{1, "succeeded", "Initial release"}};
    }
    return s;
}

state provisioned(const setting& in, size_of_scene size) {
    auto calm = in;
    calm.judge = nullptr;
    auto s = settled(calm, nothing_yet(in, size));
    s.started = 0;
    s.last = -1;
    s.left = in.most;
    return s;
}

state due_for_rotation(const setting& in, size_of_scene size) {
    auto s = provisioned(in, size);
    s.now = *due(in, s);
    s.settled = false;
    s.wake.reset();
    return s;
}

} // namespace postern::model
