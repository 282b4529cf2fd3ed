#include "bench/documents.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace postern::bench {

using namespace std::chrono_literals;
using domain::strategy;

documents::documents(std::string estate, int tokens, dice& chance)
    : estate_(std::move(estate)), chance_(chance), sites_(static_cast<std::size_t>(tokens) / 3 + 2),
      apps_(static_cast<std::size_t>(tokens) / 3 + 2) {
    wanted_.source = "specs";
    wanted_.cloudflare.push_back({.name = "raxx",
                                  .at = {},
                                  .api_url = "https://api.cloudflare.com/client/v4",
                                  .account_id = std::string{"a"},
                                  .api_token = domain::from_env{"CLOUDFLARE_API_TOKEN"},
                                  .applications = {}});
    domain::infisical_vault vault;
    vault.name = "infisical";
    vault.state_path = model::state_path;
    wanted_.vaults.push_back(vault);
    wanted_.heroku.push_back({"heroku", {}, "https://api.heroku.com", domain::from_env{"HEROKU_API_KEY"}, {}});
    for (int i = 0; i < tokens; ++i)
        add_token();
    // Policies with several tokens in them, which rotate at different times.
    for (std::size_t i = 0; i + 3 <= wanted_.tokens.size(); i += 8) {
        domain::access_binding b;
        b.name = estate_ + "-together-" + std::to_string(i);
        b.account = "raxx";
        b.policy_name = b.name + " (service token)";
        for (std::size_t t = i; t < i + 3; ++t)
            b.tokens.push_back(wanted_.tokens[t].name);
        b.applications.push_back({domain::application_ref::kind::id, estate_ + "-shared"});
        wanted_.bindings.push_back(std::move(b));
    }
}

model::remotes documents::empty_world() const {
    model::remotes world;
    auto guard = [&](const std::string& id) {
        model::guarded g;
        g.seen.id = id;
        g.seen.name = id;
        g.seen.type = "self_hosted";
        g.seen.destinations = {id + ".raxx.app"};
        domain::live_policy people;
        people.id = "people-" + id;
        people.name = "people";
        people.decides = domain::decision::allow;
        people.precedence = 1;
        people.include.push_back({domain::rule::kind::other, {}, "email_domain raxx.app"});
        model::set_version(people);
        g.seen.policies = {people};
        g.edge = g.seen.policies;
        world.applications.push_back(std::move(g));
    };
    for (std::size_t i = 0; i < sites_; ++i)
        guard(site(i));
    guard(estate_ + "-shared");
    for (std::size_t i = 0; i < apps_; ++i)
        world.apps[app(i)].releases = {{1, "succeeded", "Initial release"}};
    return world;
}

void documents::set_rotation(domain::service_token& t) {
    const auto kind = chance_.below(8);
    t.lifetime = kind < 5 ? 8760h : kind < 7 ? 4380h : 2160h;
    t.renew_before = t.lifetime == 2160h ? 480h : 720h;
    t.overlap = no_overlaps_ ? 0h : 24h * (1 + static_cast<int>(chance_.below(3)));
    t.every.reset();
    if (t.how != strategy::renew) {
        if (chance_.one_in(6))
            t.every = chance_.one_in(2) ? 2160h : 4320h;
        if (t.every && chance_.one_in(4))
            t.lifetime.reset();
    }
    t.duration_text = t.lifetime ? format_duration(*t.lifetime) : "forever";
}

void documents::add_token() {
    domain::service_token t;
    t.name = estate_ + "-t" + std::to_string(made_++);
    t.account = "raxx";
    t.vault = "infisical";
    t.display_name = t.name;
    t.key = "CF_" + t.name;
    t.path = model::creds_path;
    t.authorization = "I authorize " + t.key;
    t.deletion = domain::deletion_policy::delete_;
    t.how = std::array{strategy::replace, strategy::in_place, strategy::renew}[chance_.below(3)];
    set_rotation(t);

    domain::access_binding b;
    b.name = t.name;
    b.account = "raxx";
    b.tokens = {t.name};
    b.policy_name = t.name + " (service token)";
    const auto first = chance_.below(sites_);
    for (std::size_t i = 0; i <= chance_.below(2); ++i)
        b.applications.push_back({domain::application_ref::kind::id, site((first + i) % sites_)});
    wanted_.bindings.push_back(std::move(b));

    if (!chance_.one_in(3)) {
        domain::heroku_binding h;
        h.name = t.name;
        h.account = "heroku";
        h.token = t.name;
        h.config_var = t.key;
        const auto first_app = chance_.below(apps_);
        for (std::size_t i = 0; i <= chance_.below(2); ++i)
            h.apps.push_back(app((first_app + i) % apps_));
        wanted_.heroku_bindings.push_back(std::move(h));
    }
    wanted_.tokens.push_back(std::move(t));
}

domain::access_binding& documents::binding_of(const std::string& token) {
    return *std::find_if(wanted_.bindings.begin(), wanted_.bindings.end(),
                         [&](const auto& b) { return b.name == token; });
}

domain::heroku_binding* documents::heroku_binding_of(const std::string& token) {
    auto at = std::find_if(wanted_.heroku_bindings.begin(), wanted_.heroku_bindings.end(),
                           [&](const auto& b) { return b.name == token; });
    return at == wanted_.heroku_bindings.end() ? nullptr : &*at;
}

const std::string& documents::any_token() {
    return wanted_.tokens[chance_.below(wanted_.tokens.size())].name;
}

void documents::drop_overlaps() {
    no_overlaps_ = true;
    for (auto& t : wanted_.tokens)
        t.overlap = {};
}

void documents::remove_token(std::size_t index) {
    const auto name = wanted_.tokens[index].name;
    std::erase_if(wanted_.bindings, [&](const auto& b) { return b.name == name; });
    std::erase_if(wanted_.heroku_bindings, [&](const auto& b) { return b.name == name; });
    for (auto& b : wanted_.bindings)
        std::erase(b.tokens, name);
    std::erase_if(wanted_.bindings, [](const auto& b) { return b.tokens.empty(); });
    wanted_.tokens.erase(wanted_.tokens.begin() + static_cast<std::ptrdiff_t>(index));
}

std::string documents::edit(model::remotes& world) {
    const auto index = chance_.below(wanted_.tokens.size());
    auto& t = wanted_.tokens[index];
    auto& sites = binding_of(t.name).applications;
    auto* heroku = heroku_binding_of(t.name);
    switch (chance_.below(10)) {
    case 0:
        t.how = std::array{strategy::replace, strategy::in_place, strategy::renew}[chance_.below(3)];
        set_rotation(t);
        return "strategy of " + t.name;
    case 1:
    case 2:
        set_rotation(t);
        return "durations of " + t.name;
    case 3:
        t.display_name = t.name + " v" + std::to_string(chance_.below(100));
        return "displayName of " + t.name;
    case 4:
    case 5: {
        domain::application_ref ref{domain::application_ref::kind::id, site(chance_.below(sites_))};
        if (std::find(sites.begin(), sites.end(), ref) == sites.end())
            sites.push_back(std::move(ref));
        else if (sites.size() > 1)
            std::erase(sites, ref);
        return "applications of " + t.name;
    }
    case 6: {
        const auto name = app(chance_.below(apps_));
        if (heroku == nullptr || left_.contains(name + "/" + t.key))
            return "nothing of " + t.name;
        if (std::find(heroku->apps.begin(), heroku->apps.end(), name) == heroku->apps.end())
            heroku->apps.push_back(name);
        return "apps of " + t.name;
    }
    case 7: {
        if (heroku == nullptr || heroku->apps.size() < 2)
            return "nothing of " + t.name;
        const auto name = heroku->apps.back();
        heroku->apps.pop_back();
        left_.insert(name + "/" + t.key);
        world.apps.at(name).vars.erase(t.key);
        world.apps.at(name).runs.erase(t.key);
        return "apps of " + t.name;
    }
    case 8:
        add_token();
        return "arrival of " + wanted_.tokens.back().name;
    default: {
        auto text = "departure of " + t.name;
        if (wanted_.tokens.size() < 5)
            return "nothing of " + t.name;
        remove_token(index);
        return text;
    }
    }
}

} // namespace postern::bench
