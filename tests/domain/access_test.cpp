#include "domain/access.hpp"
#include "world.hpp"

#include <random>

namespace access_test {

using namespace postern::domain;
using namespace postern::domain::testing;

TEST_CASE("the order of evaluation is Cloudflare's") {
    principal machine{"tok", {}};
    principal person{"", {"email a"}};
    std::vector<live_group> groups;
    auto allow_token = policy("1", "a", decision::allow, {of_token("tok")});
    CHECK(evaluate({allow_token}, groups, machine) == access::refused);
    auto service = policy("2", "s", decision::non_identity, {of_token("tok")}, 9);
    auto deny = policy("3", "d", decision::deny, {{rule::kind::everyone, {}, {}}}, 1);
    CHECK(evaluate({deny, service}, groups, machine) == access::admitted);
    auto people = policy("4", "p", decision::allow, {of_person("email a")}, 2);
    CHECK(evaluate({deny, people}, groups, person) == access::refused);
    people.precedence = 0;
    CHECK(evaluate({deny, people}, groups, person) == access::admitted);
    CHECK(evaluate({service}, groups, person) == access::refused);

    live_group group;
    group.id = "g";
    group.include = {of_token("tok")};
    groups.push_back(group);
    auto by_group = policy("5", "g", decision::non_identity, {{rule::kind::group, "g", {}}});
    CHECK(evaluate({by_group}, groups, machine) == access::admitted);
    by_group.exclude = {of_token("tok")};
    CHECK(evaluate({by_group}, groups, machine) == access::refused);
    groups[0].include = {{rule::kind::group, "g", {}}}; // a group that contains itself ends
    by_group.exclude.clear();
    CHECK(evaluate({by_group}, groups, machine) == access::refused);
}

namespace {

struct generator {
    std::mt19937 random;
    int ids = 0;

    int below(int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); }

    rule any_rule() {
        switch (below(8)) {
        case 0:
        case 1:
        case 2:
            return of_token("tok-" + std::to_string(below(5)));
        case 3:
            return {rule::kind::any_valid_service_token, {}, {}};
        case 4:
            return {rule::kind::group, "group-" + std::to_string(below(3)), {}};
        case 5:
            return {rule::kind::everyone, {}, {}};
        default:
            return of_person("trait-" + std::to_string(below(3)));
        }
    }

    rules any_rules() {
        rules r;
        for (int i = below(3) + 1; i > 0; --i)
            r.include.push_back(below(2) == 0 ? of_token("tok-" + std::to_string(below(5))) : any_rule());
        if (below(4) == 0)
            r.exclude.push_back(any_rule());
        if (below(4) == 0)
            r.require.push_back(any_rule());
        return r;
    }

    live_policy any_policy(bool reusable) {
        constexpr decision decisions[] = {decision::allow,        decision::allow, decision::allow,
                                          decision::non_identity, decision::deny,  decision::bypass};
        ++ids;
        auto p = policy("policy-" + std::to_string(ids), below(4) == 0 ? "probe (service token)" : "policy",
                        decisions[below(6)], {}, ids, reusable);
        static_cast<rules&>(p) = any_rules();
        return p;
    }

    // Any account: policies of every kind, some shared; the vault shows working credentials of up to two specs' tokens.
    scene any_scene() {
        scene s;
        s.wanted.heroku_bindings.clear();
        s.account().applications.push_back(app("app-3", "three.raxx.app"));
        for (int i = 0; i < 5; ++i)
            s.account().tokens.push_back(token("tok-" + std::to_string(i), "by hand " + std::to_string(i)));
        for (int i = 0; i < 3; ++i) {
            live_group g;
            static_cast<rules&>(g) = any_rules();
            g.id = "group-" + std::to_string(i);
            s.account().groups.push_back(g);
        }
        for (auto& a : s.account().applications) {
            for (int i = below(4); i > 0; --i)
                a.policies.push_back(any_policy(false));
        }
        for (int i = below(3); i > 0; --i) {
            auto shared = any_policy(true);
            for (auto& a : s.account().applications) {
                if (below(2) == 0)
                    a.policies.push_back(shared);
            }
        }
        s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
        auto b = s.wanted.bindings[0];
        b.name = b.policy_name = "other";
        b.tokens = {"other"};
        b.applications = {{application_ref::kind::id, "app-2"}, {application_ref::kind::id, "app-3"}};
        s.wanted.bindings.push_back(b);
        if (below(2) == 0)
            s.folder().values["CF_PROBE"] = vault_value{"fp-0", "tok-0.access", false, false};
        if (below(2) == 0)
            s.folder().values["CF_OTHER"] = vault_value{"fp-1", "tok-1.access", false, false};
        return s;
    }
};

} // namespace

TEST_CASE("a pass adds access only for tokens that the specs bind, and takes none from anyone") {
    int corrected = 0;
    int created = 0;
    int added = 0;
    for (unsigned seed = 1; seed <= 2000; ++seed) {
        generator g{std::mt19937{seed}};
        auto s = g.any_scene();
        const auto before = s.account();
        auto words = s.settle();
        corrected += static_cast<int>(std::count(words.begin(), words.end(), "correct"));
        created += static_cast<int>(std::count(words.begin(), words.end(), "bind"));
        const auto& after = s.account();

        std::map<std::string, std::set<std::string>> bound; // application → token ids
        for (auto [name, apps] :
             {std::pair{"probe", std::vector{"app-1", "app-2"}}, {"other", std::vector{"app-2", "app-3"}}}) {
            auto at = s.state().records.find(name);
            if (at == s.state().records.end())
                continue;
            for (const auto* a : apps) {
                if (at->second.current)
                    bound[a].insert(at->second.current->token_id);
                // Bound while it waits for its proof, or for the record that names it.
                if (auto held = s.state().held.find(name); held != s.state().held.end()) {
                    for (const auto& [nonce, value] : held->second) {
                        for (const auto& t : after.tokens) {
                            if (t.client_id == value.client_id)
                                bound[a].insert(t.id);
                        }
                    }
                }
            }
        }
        // A credential that the vault shows is the spec's token even where something keeps it from being recorded.
        for (auto [key, apps] :
             {std::pair{"CF_PROBE", std::vector{"app-1", "app-2"}}, {"CF_OTHER", std::vector{"app-2", "app-3"}}}) {
            auto at = s.folder().values.find(key);
            for (const auto& t : after.tokens) {
                if (at != s.folder().values.end() && at->second.client_id == t.client_id) {
                    for (const auto* a : apps)
                        bound[a].insert(t.id);
                }
            }
        }
        std::vector<principal> everybody;
        for (const auto& t : after.tokens)
            everybody.push_back({t.id, {}});
        for (int mask = 0; mask < 8; ++mask) {
            principal p{"", {"email_domain raxx.app"}};
            for (int i = 0; i < 3; ++i) {
                if ((mask & (1 << i)) != 0)
                    p.matches.insert("trait-" + std::to_string(i));
            }
            everybody.push_back(p);
        }
        for (std::size_t a = 0; a < before.applications.size(); ++a) {
            for (const auto& who : everybody) {
                auto then = evaluate(before.applications[a].policies, before.groups, who);
                auto now = evaluate(after.applications[a].policies, after.groups, who);
                INFO("seed ", seed, ", ", after.applications[a].id, ", ", who.token_id);
                if (then == access::admitted)
                    REQUIRE(now == access::admitted);
                if (then == access::refused && now == access::admitted) {
                    REQUIRE(bound[after.applications[a].id].contains(who.token_id));
                    ++added;
                }
            }
        }
    }
    // The generator reaches what it is for.
    CHECK(corrected > 150);
    CHECK(created > 2000);
    CHECK(added > 2000);
}

} // namespace access_test
