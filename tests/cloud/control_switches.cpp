// Every switch of every service by the name that it has in JSON, read and written by one visitor each.
#include "cloud/control_json.hpp"

namespace postern::testcloud {

namespace {

struct reader { // JSON → switch
    const json::object& from;
    void operator()(std::string_view name, bool& value) const { value = flag_at(from, name).value_or(value); }
    void operator()(std::string_view name, std::string& value) const { value = text_at(from, name).value_or(value); }
    void operator()(std::string_view name, std::size_t& value) const {
        value = static_cast<std::size_t>(number_at(from, name).value_or(static_cast<std::int64_t>(value)));
    }
    void operator()(std::string_view name, double& value) const {
        value = static_cast<double>(number_at(from, name).value_or(static_cast<std::int64_t>(value)));
    }
    void operator()(std::string_view name, duration& value) const {
        value = duration{number_at(from, name).value_or(value.count())};
    }
    void operator()(std::string_view name, std::optional<std::size_t>& value) const {
        if (const auto* member = from.if_contains(name); member != nullptr && member->is_null())
            value.reset();
        if (const auto number = number_at(from, name))
            value = static_cast<std::size_t>(*number);
    }
    void operator()(std::string_view name, std::set<std::string>& value) const {
        if (const auto* list = array_at(from, name))
            value = texts(*list);
    }
};

struct writer { // switch → JSON
    json::object& into;
    template<class T>
    void operator()(std::string_view name, const T& value) const {
        into[name] = value;
    }
    void operator()(std::string_view name, duration value) const { into[name] = value.count(); }
    void operator()(std::string_view name, const std::optional<std::size_t>& value) const {
        if (value)
            into[name] = *value;
        else
            into[name] = nullptr;
    }
    void operator()(std::string_view name, const std::set<std::string>& value) const { into[name] = to_array(value); }
};

template<class Visitor>
void visit_switches(cloudflare_switches& s, const Visitor& v) {
    v("defaultPerPage", s.default_per_page);
    v("perPageCap", s.per_page_cap);
    v("nameFilterExact", s.name_filter_exact);
    v("tokenLimit", s.token_limit);
    v("secretRepliesHaveExpiry", s.secret_replies_have_expiry);
    v("foreverExpiresAt", s.forever_expires_at);
    v("rotateExtendsExpiry", s.rotate_extends_expiry);
    v("refreshUsesOwnDuration", s.refresh_uses_own_duration);
    v("longestOverlapMs", s.longest_overlap);
    v("showReusable", s.show_reusable);
    v("refusePolicyMix", s.refuse_policy_mix);
    v("domainFromDestinations", s.domain_from_destinations);
    v("missingScopeListsEmpty", s.missing_scope_lists_empty);
    v("enforceLimits", s.enforce_limits);
    v("limit", s.limit);
}

template<class Visitor>
void visit_switches(infisical_switches& s, const Visitor& v) {
    v("oldServer", s.old_server);
    v("v4", s.v4);
    v("approvalPaths", s.approval_paths);
    v("hideValues", s.hide_values);
    v("versionIgnored", s.version_ignored);
    v("raceCreates", s.race_creates);
    v("createGapMs", s.create_gap);
    v("lockout", s.lockout);
    v("loginContention", s.login_contention);
    v("enforceLimits", s.enforce_limits);
    v("readLimit", s.read_limit);
    v("writeLimit", s.write_limit);
    v("secretLimit", s.secret_limit);
    v("limitHeaders", s.limit_headers);
}

template<class Visitor>
void visit_switches(heroku_switches& s, const Visitor& v) {
    v("noopCreatesRelease", s.noop_creates_release);
    v("ifMatch", s.if_match);
    v("enforceLimits", s.enforce_limits);
    v("bucket", s.bucket);
    v("refillPerMinute", s.refill_per_minute);
    v("page", s.page);
    v("restartLagMs", s.restart_lag);
    v("maskByOmission", s.mask_by_omission);
}

template<class Visitor>
void visit_switches(edge& e, const Visitor& v) {
    v("halfCredentialIsForbidden", e.switches.half_credential_is_forbidden);
    v("serviceAuthOnlyIsForbidden", e.switches.service_auth_only_is_forbidden);
    v("flag401WithoutToken", e.switches.flag_401_without_token);
    v("refusedAgents", e.refused_agents);
}

template<class Switches>
json::object shown(Switches& s) {
    json::object out;
    visit_switches(s, writer{out});
    return out;
}

} // namespace

std::set<std::string> texts(const json::array& values) {
    std::set<std::string> out;
    for (const auto& v : values)
        out.emplace(v.as_string());
    return out;
}

json::array to_array(const std::set<std::string>& values) {
    json::array out;
    for (const auto& v : values)
        out.emplace_back(v);
    return out;
}

json::object switches_json(cloud& of) {
    return {{"cloudflare", shown(of.access.switches)},
            {"infisical", shown(of.vault.switches)},
            {"heroku", shown(of.platform.switches)},
            {"edge", shown(of.network)}};
}

void set_switches(cloud& of, const json::object& body) {
    if (const auto* o = object_at(body, "cloudflare"))
        visit_switches(of.access.switches, reader{*o});
    if (const auto* o = object_at(body, "infisical"))
        visit_switches(of.vault.switches, reader{*o});
    if (const auto* o = object_at(body, "heroku"))
        visit_switches(of.platform.switches, reader{*o});
    if (const auto* o = object_at(body, "edge"))
        visit_switches(of.network, reader{*o});
}

} // namespace postern::testcloud
