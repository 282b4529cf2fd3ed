#include "rotation/scenario.hpp"

#include "domain/reason.hpp"

#include <algorithm>
#include <stdexcept>

namespace postern::testing {

namespace json = boost::json;

using namespace std::chrono_literals;

namespace {

constexpr auto probe = "console-self-probe";
constexpr auto vault_key = "CF_ACCESS_SVC_CONSOLE";
constexpr auto creds = "/MooseQuest/cloudflare";
constexpr auto own = "/MooseQuest/postern";
constexpr auto prod_app = "raxx-console-prod";
constexpr auto prod = "console.raxx.app";
constexpr auto staging = "console-staging.raxx.app";

constexpr duration overlap_and_more = 49h;

json::object admits(const std::string& token_id) {
    return {{"service_token", {{"token_id", token_id}}}};
}

constexpr std::string_view status_documents = R"(---
apiVersion: postern/v1alpha1
kind: ServiceToken
metadata: {name: status-probe}
spec:
  duration: 8760h
  credential: {key: CF_ACCESS_SVC_STATUS}
---
apiVersion: postern/v1alpha1
kind: AccessBinding
metadata: {name: status-probe}
spec: {tokens: [status-probe], applications: [{domain: status.raxx.app}]}
---
apiVersion: postern/v1alpha1
kind: HerokuBinding
metadata: {name: status-probe}
spec: {token: status-probe, apps: [raxx-console-prod]}
)";

void nothing_yet(story_world& w) {
    w.yaml = console_documents();
}

void provisioned(story_world& w) {
    w.yaml = console_documents();
    w.settle();
}

void made_by_hand(story_world& w) {
    w.yaml = base_documents() + std::string{status_documents};
}

// Provisioned, then changed by somebody.
scenario drift(std::string name, std::function<void(story_world&)> change) {
    return {"repair: " + std::move(name), [change](story_world& w) {
                provisioned(w);
                w.by_hand([&] { change(w); });
            }};
}

std::vector<scenario> adoptions() {
    return {
        {"adopt from the vault", made_by_hand},
        {"adopt from an app",
         [](story_world& w) {
             made_by_hand(w);
             w.by_hand([&] {
                 const auto& t = w.token("status-probe");
                 w.cloud.platform.set(*w.cloud.platform.find(prod_app), "CF_ACCESS_SVC_STATUS",
                                      t.client_id + ":" + t.secret);
                 w.erase(creds, "CF_ACCESS_SVC_STATUS");
             });
         }},
        {"adopt by id",
         [](story_world& w) {
             made_by_hand(w);
             w.by_hand([&] {
                 w.erase(creds, "CF_ACCESS_SVC_STATUS");
                 // It admits nobody to a page for machines, and correcting it is a story of its own.
                 std::erase_if(w.application("status.raxx.app").policies, [&](const auto& link) {
                     return w.cloud.access.config.policies.at(link.policy_id).name == "status-probe";
                 });
                 std::erase_if(w.cloud.access.config.policies,
                               [](const auto& entry) { return entry.second.name == "status-probe"; });
             });
             w.yaml = replaced(
                 w.yaml, "  credential: {key: CF_ACCESS_SVC_STATUS}\n",
                 "  credential: {key: CF_ACCESS_SVC_STATUS}\n  adopt: {tokenId: " + w.token("status-probe").id +
                     "}\n  authorization: I authorize CF_ACCESS_SVC_STATUS\n");
         },
         overlap_and_more},
    };
}

std::vector<scenario> access_repairs() {
    return {
        drift("policy deleted", [](story_world& w) { w.remove_policy(prod); }),
        drift("member replaced",
              [](story_world& w) { w.own_policy(prod).include = {admits(w.cloud.access.mint("somebody else's").id)}; }),
        drift("member doubled",
              [](story_world& w) { w.own_policy(prod).include.push_back(admits(w.token(probe).id)); }),
        drift("policy turned to allow", [](story_world& w) { w.own_policy(prod).decision = "allow"; }),
        drift("a twin of the policy",
              [](story_world& w) {
                  auto twin = w.own_policy(prod);
                  twin.id = w.cloud.ids.uuid();
                  twin.created_at += 1min;
                  w.cloud.access.config.policies[twin.id] = twin;
                  w.application(prod).policies.push_back({twin.id, 9});
              }),
        drift("token disabled", [](story_world& w) { w.token(probe).enabled = false; }),
        drift("duration changed", [](story_world& w) { w.token(probe).duration = "24h"; }),
    };
}

std::vector<scenario> vault_repairs() {
    return {
        drift("vault value deleted", [](story_world& w) { w.erase(creds, vault_key); }),
        drift("vault value garbage", [](story_world& w) { w.overwrite(creds, vault_key, "garbage"); }),
        drift("vault value garbage, in two rows",
              [](story_world& w) {
                  w.overwrite(creds, vault_key, "garbage");
                  w.cloud.vault.put(w.folder_of(creds), vault_key, "garbage", true);
              }),
        drift("held key deleted", [](story_world& w) { w.erase(own, w.held_key(probe)); }),
        drift("held key garbage", [](story_world& w) { w.overwrite(own, w.held_key(probe), "garbage"); }),
        drift("record deleted", [](story_world& w) { w.erase(own, probe); }),
        drift("record garbage", [](story_world& w) { w.overwrite(own, probe, "garbage"); }),
        drift("record and held key deleted",
              [](story_world& w) {
                  w.erase(own, w.held_key(probe));
                  w.erase(own, probe);
              }),
        drift("record and vault value deleted",
              [](story_world& w) {
                  w.erase(own, probe);
                  w.erase(creds, vault_key);
              }),
        drift("Postern's own key deleted", [](story_world& w) { w.erase(own, "postern"); }),
        drift("Postern's own folder emptied", [](story_world& w) { w.folder_of(own).secrets.clear(); }),
    };
}

std::vector<scenario> app_repairs() {
    return {
        drift("config var deleted",
              [](story_world& w) { w.cloud.platform.set(*w.cloud.platform.find(prod_app), vault_key, std::nullopt); }),
        drift("config var garbage",
              [](story_world& w) { w.cloud.platform.set(*w.cloud.platform.find(prod_app), vault_key, "garbage"); }),
        drift("rolled back at Heroku",
              [](story_world& w) {
                  for (const auto& r : w.cloud.platform.find(prod_app)->releases) {
                      if (r.version == 2) {
                          w.cloud.as_operator(testcloud::service::heroku, "POST",
                                              "/apps/" + std::string{prod_app} + "/releases",
                                              json::object{{"release", r.id}});
                          return;
                      }
                  }
              }),
    };
}

std::vector<scenario> successions() {
    return {
        drift("secret rotated by hand, vault garbage",
              [](story_world& w) {
                  w.token(probe).secret = testcloud::dice::client_secret();
                  w.overwrite(creds, vault_key, "garbage");
              }),
        drift("somebody's emergency fix",
              [](story_world& w) {
                  w.token(probe).secret = testcloud::dice::client_secret();
                  const auto made = w.cloud.access.mint("by hand in the night");
                  for (const auto* host : {prod, staging})
                      w.cloud.access.attach_policy(w.application(host), "by hand", "non_identity", {admits(made.id)});
                  w.overwrite(creds, vault_key, made.client_id + ":" + made.secret);
              }),
        {"repair: token deleted, a new word given",
         [](story_world& w) {
             provisioned(w);
             const auto dead = w.token(probe).client_id;
             w.by_hand([&] {
                 w.remove_policy(prod);
                 w.remove_policy(staging);
                 w.cloud.access.config.tokens.erase(w.token(probe).id);
             });
             w.yaml = replaced(w.yaml, "I authorize CF_ACCESS_SVC_CONSOLE",
                               "I authorize CF_ACCESS_SVC_CONSOLE again 2026-11-23");
             w.cloud.checks.excuse_from_now_on(
                 {"", "", dead, "dead in the vault and at the apps until its successor is there"});
         }},
    };
}

// Provisioned a while ago, and now somebody asks for a rotation.
void rotation_asked(story_world& w, domain::strategy how, std::string_view why) {
    provisioned(w);
    w.clock.advance(24h);
    w.settings.how.requests[probe] = {w.clock.now(), std::string{why}, how, "somebody", false};
}

scenario rotation(std::string name, domain::strategy how, std::string_view why) {
    return {"rotate: " + std::move(name), [how, why](story_world& w) { rotation_asked(w, how, why); },
            overlap_and_more};
}

scenario retirement(std::string name, domain::strategy how) {
    return {"retire: " + std::move(name), [how](story_world& w) {
                rotation_asked(w, how, domain::reason::requested);
                w.settle();
                w.settings.how.requests.clear();
                w.clock.advance(overlap_and_more);
            }};
}

std::vector<scenario> rotations() {
    using domain::strategy;
    namespace reason = domain::reason;
    return {
        rotation("Replace", strategy::replace, reason::requested),
        rotation("InPlace", strategy::in_place, reason::requested),
        {"rotate: Renew, expiring",
         [](story_world& w) {
             w.yaml = replaced(console_documents(), "  duration: 8760h\n",
                               "  duration: 8760h\n  rotation: {strategy: Renew}\n");
             w.settle();
             w.clock.advance(std::chrono::hours{8760 - 24});
         }},
        rotation("Replace, compromised", strategy::replace, reason::compromised),
        rotation("InPlace, compromised", strategy::in_place, reason::compromised),
        retirement("Replace", strategy::replace),
        retirement("InPlace", strategy::in_place),
    };
}

std::vector<scenario> departures() {
    return {
        {"delete with --prune",
         [](story_world& w) {
             w.yaml =
                 replaced(console_documents(), "  authorization: I", "  deletionPolicy: Delete\n  authorization: I");
             w.settle();
             w.yaml = base_documents();
             w.settings.how.prune = true;
         }},
        {"an application left its binding, with --prune",
         [](story_world& w) {
             provisioned(w);
             w.yaml = replaced(w.yaml, ", {domain: console.raxx.app}", "");
             w.settings.how.prune = true;
             w.cloud.checks.excuse_from_now_on({"", prod, "", "nothing is bound there any more"});
         }},
    };
}

} // namespace

void story_world::settle() {
    const auto report = apply(wanted());
    if (!fine(report))
        throw std::logic_error("the story's beginning does not come off:\n" + troubles(report.last.conditions));
}

void story_world::by_hand(const std::function<void()>& change) {
    cloud.broken_by_hand("what the story is about", change);
}

testcloud::application& story_world::application(std::string_view host) {
    for (auto& [id, app] : cloud.access.config.apps) {
        if (app.domain && *app.domain == host)
            return app;
    }
    throw std::logic_error("no application guards " + std::string{host});
}

testcloud::policy& story_world::own_policy(std::string_view host) {
    for (const auto& link : application(host).policies) {
        auto& p = cloud.access.config.policies.at(link.policy_id);
        if (p.decision == "non_identity")
            return p;
    }
    throw std::logic_error("no policy of ours on " + std::string{host});
}

void story_world::remove_policy(std::string_view host) {
    const auto id = own_policy(host).id;
    std::erase_if(application(host).policies, [&](const auto& link) { return link.policy_id == id; });
    cloud.access.config.policies.erase(id);
}

testcloud::vault_folder& story_world::folder_of(const std::string& path) {
    return cloud.vault.folder(*cloud.vault.environment("prod"), path);
}

void story_world::erase(const std::string& path, const std::string& key) {
    if (folder_of(path).secrets.erase(key) != 1)
        throw std::logic_error("there is not one key " + key);
}

void story_world::overwrite(const std::string& path, const std::string& key, const std::string& value) {
    folder_of(path).secrets.find(key)->second.value = value;
}

std::string story_world::held_key(const std::string& of) {
    for (const auto& [key, row] : folder_of(own).secrets) {
        if (key.starts_with(of + "."))
            return key;
    }
    throw std::logic_error("nothing is held for " + of);
}

testcloud::service_token& story_world::token(const std::string& name) {
    const auto found = tokens(name);
    if (found.size() != 1)
        throw std::logic_error(std::to_string(found.size()) + " tokens are named " + name);
    return cloud.access.config.tokens.at(found.front()->id);
}

const std::vector<scenario>& scenarios() {
    static const std::vector<scenario> all = [] {
        std::vector<scenario> out{{"provision", nothing_yet}};
        for (auto group :
             {adoptions(), access_repairs(), vault_repairs(), app_repairs(), successions(), rotations(), departures()})
            out.insert(out.end(), group.begin(), group.end());
        return out;
    }();
    return all;
}

bool idle(const miniature& m) {
    return std::none_of(m.told.steps.begin(), m.told.steps.end(), [](const auto& s) { return domain::writes(s); });
}

} // namespace postern::testing
