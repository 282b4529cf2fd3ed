#include "domain/application.hpp"

#include "base/text.hpp"
#include "domain/reason.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace postern::domain {

namespace {

struct place {
    std::string_view host;
    std::string_view path; // "" or "/…", without a trailing "*" or "/"
};

place take_apart(std::string_view destination) {
    auto slash = destination.find('/');
    auto path = slash == std::string_view::npos ? std::string_view{} : destination.substr(slash);
    while (path.ends_with('*') || path.ends_with('/'))
        path.remove_suffix(1);
    return {destination.substr(0, slash), path};
}

bool below(std::string_view path, std::string_view prefix) {
    return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

template<class Index>
const auto& under(const Index& index, const std::string& key) {
    static const typename Index::mapped_type none;
    auto at = index.find(key);
    return at == index.end() ? none : at->second;
}

bool has_wildcard(std::string_view host) {
    return host.find('*') != std::string_view::npos;
}

std::string described(const application_ref& ref) {
    constexpr std::array<std::string_view, 3> kinds{"id", "domain", "name"};
    return "application with " + std::string{kinds.at(static_cast<std::size_t>(ref.by))} + " \"" + printable(ref.text) +
           "\"";
}

// Hosts of the smoke test that this destination's host covers.
std::vector<std::string> filled(std::string_view host, const std::vector<std::string>& hosts) {
    std::vector<std::string> out;
    for (const auto& candidate : hosts) {
        if (matches_glob(host, candidate))
            out.push_back(lower(candidate));
    }
    return out;
}

// A host of the application's that is not among these.
std::optional<std::string> host_outside(const live_application& app, const allowed_hosts& allowed) {
    for (const auto& destination : app.destinations) {
        const auto host = take_apart(destination).host;
        if (!allowed.contains(host))
            return std::string{host};
    }
    return std::nullopt;
}

} // namespace

bool admits_machines(const live_application& app) {
    constexpr std::array<std::string_view, 6> types{"self_hosted", "ssh", "vnc", "mcp", "mcp_portal", ""};
    return std::find(types.begin(), types.end(), app.type) != types.end();
}

allowed_hosts::allowed_hosts(const std::vector<std::string>& globs) {
    for (const auto& glob : globs) {
        if (has_wildcard(glob))
            globs_.push_back(glob);
        else
            exact_.insert(lower(glob));
    }
}

bool allowed_hosts::contains(std::string_view host) const {
    if (exact_.empty())
        return is_allowed(globs_, host);
    return exact_.contains(lower(host)) || (!globs_.empty() && is_allowed(globs_, host));
}

application_index::application_index(const account_view& account) : empty_(account.applications.empty()) {
    for (const auto& app : account.applications) {
        by_id_[app.id].push_back(&app);
        by_name_[app.name].push_back(&app);
        for (const auto& destination : app.destinations) {
            auto& same = by_destination_[lower(destination)];
            if (same.empty() || same.back() != &app)
                same.push_back(&app);
            if (app.type == "bookmark") // a link to a host, which it does not guard
                continue;
            const auto [host, path] = take_apart(destination);
            auto& guards = has_wildcard(host) ? wildcards_ : by_host_[lower(host)];
            guards.push_back({&app, host, path});
        }
    }
}

const application_index::matches& application_index::matching(const application_ref& ref) const {
    switch (ref.by) {
    case application_ref::kind::id:
        return with_id(ref.text);
    case application_ref::kind::name:
        return under(by_name_, ref.text);
    case application_ref::kind::domain:
        break;
    }
    return under(by_destination_, lower(ref.text));
}

const std::vector<const live_application*>& application_index::with_id(const std::string& id) const {
    return under(by_id_, id);
}

std::variant<const live_application*, problem> application_index::resolve(const application_ref& ref,
                                                                          const allowed_hosts& account_allows,
                                                                          const allowed_hosts& operator_allows) const {
    const live_application* found = nullptr;
    for (const auto* app : matching(ref)) {
        const bool suits = admits_machines(*app);
        if (suits && found != nullptr && admits_machines(*found))
            return problem{reason::application_ambiguous,
                           described(ref) + " is not one application: " + found->id + " (" + printable(found->name) +
                               ") and " + app->id + " (" + printable(app->name) + ") both match; name it by id"};
        if (suits || found == nullptr)
            found = app;
    }
    if (found == nullptr) {
        std::string hint = empty_ ? "; the account's list of applications is empty: does the API token have "
                                    "\"Access: Apps and Policies\"?"
                                  : "";
        return problem{reason::application_not_found, "there is no " + described(ref) + " in the account" + hint};
    }
    if (!admits_machines(*found))
        return problem{reason::application_unsuitable,
                       described(ref) + " is of type " + printable(found->type) + ", which service tokens do not pass"};
    if (auto host = host_outside(*found, account_allows))
        return problem{reason::not_allowed, described(ref) + " guards " + printable(*host) +
                                                ", which the account's `applications` do not allow"};
    if (auto host = host_outside(*found, operator_allows))
        return problem{reason::not_allowed,
                       described(ref) + " guards " + printable(*host) + ", which --only-hosts does not allow"};
    return found;
}

const live_application* application_index::answering(std::string_view host, std::string_view path) const {
    const guarded* best = nullptr;
    auto consider = [&](const guarded& g) {
        if (below(path, g.path) && (best == nullptr || g.path.size() > best->path.size()))
            best = &g;
    };
    // The exact ones first: a wildcard is better by a longer path alone.
    if (auto exact = by_host_.find(lower(host)); exact != by_host_.end())
        std::for_each(exact->second.begin(), exact->second.end(), consider);
    for (const auto& g : wildcards_) {
        if (matches_glob(g.host, host))
            consider(g);
    }
    return best == nullptr ? nullptr : best->app;
}

std::variant<std::vector<site>, problem> application_index::sites(const smoke_test& smoke,
                                                                  const live_application& app) const {
    bool named = std::any_of(app.destinations.begin(), app.destinations.end(),
                             [&](const auto& d) { return !filled(take_apart(d).host, smoke.hosts).empty(); });
    std::vector<site> out;
    for (const auto& destination : app.destinations) {
        auto here = take_apart(destination);
        std::string path = std::string{here.path} + smoke.path;
        if (named) {
            for (auto& host : filled(here.host, smoke.hosts))
                out.push_back({std::move(host), path});
        } else if (!has_wildcard(here.host)) {
            out.push_back({lower(here.host), path});
        }
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    if (out.empty())
        return problem{reason::host_unknown, "application " + printable(app.name) +
                                                 " has no public host that could be tried: name one under "
                                                 "smokeTest.hosts (a wildcard needs a host that fills it)"};
    for (const auto& [host, path] : out) {
        const auto* by = answering(host, path);
        if (by != &app)
            return problem{reason::path_taken, "https://" + host + path + " is answered by application " +
                                                   (by == nullptr ? std::string{"(none)"} : printable(by->name)) +
                                                   ", not by " + printable(app.name) +
                                                   ": choose another smokeTest.path"};
        for (const auto& open : app.open_paths) {
            if (matches_glob(open, path))
                return problem{reason::path_open, "https://" + host + path +
                                                      " skips Access by the application's override " + printable(open) +
                                                      ": it proves nothing; choose another path"};
        }
    }
    return out;
}

} // namespace postern::domain
