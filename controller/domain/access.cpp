#include "domain/access.hpp"

#include <algorithm>
#include <tuple>

namespace postern::domain {

namespace {

constexpr int deepest_group = 8;

bool satisfied(const rules& by, const std::vector<live_group>& groups, const principal& who, int depth);

bool holds(const rule& r, const std::vector<live_group>& groups, const principal& who, int depth) {
    switch (r.is) {
    case rule::kind::service_token:
        return !who.token_id.empty() && r.id == who.token_id;
    case rule::kind::any_valid_service_token:
        return !who.token_id.empty();
    case rule::kind::everyone:
        return true;
    case rule::kind::group: {
        auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.id == r.id; });
        return group != groups.end() && depth < deepest_group && satisfied(*group, groups, who, depth + 1);
    }
    case rule::kind::other:
        return who.token_id.empty() && who.matches.contains(r.raw);
    }
    return false;
}

bool satisfied(const rules& by, const std::vector<live_group>& groups, const principal& who, int depth) {
    auto hold = [&](const rule& r) { return holds(r, groups, who, depth); };
    return std::any_of(by.include.begin(), by.include.end(), hold) &&
           std::all_of(by.require.begin(), by.require.end(), hold) &&
           std::none_of(by.exclude.begin(), by.exclude.end(), hold);
}

} // namespace

bool satisfied(const rules& by, const std::vector<live_group>& groups, const principal& who) {
    return satisfied(by, groups, who, 0);
}

access evaluate(const std::vector<live_policy>& policies, const std::vector<live_group>& groups, const principal& who) {
    std::vector<const live_policy*> ordered;
    for (const auto& p : policies)
        ordered.push_back(&p);
    std::sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) {
        return std::tie(a->precedence, a) < std::tie(b->precedence, b); // equal ones as they stand
    });
    bool machine = !who.token_id.empty();
    for (const auto* p : ordered) {
        bool first = p->decides == decision::bypass || (p->decides == decision::non_identity && machine);
        if (first && satisfied(*p, groups, who))
            return access::admitted;
    }
    for (const auto* p : ordered) {
        bool second = p->decides == decision::allow || p->decides == decision::deny;
        // A service token never satisfies `allow`: its bearer has no identity.
        if (second && !machine && satisfied(*p, groups, who))
            return p->decides == decision::allow ? access::admitted : access::refused;
    }
    return access::refused;
}

} // namespace postern::domain
