#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>
#include <iterator>

// Heroku: one PATCH per app, in the order listed, each confirmed before the next; only what differs, and never over a
// value that is somebody else's.
namespace postern::domain {

namespace {

// Whether a release's description says that these config vars were set: "Set FOO, BAR config vars".
bool sets(const release_view& release, const std::vector<std::string>& vars) {
    return release.description.starts_with("Set ") &&
           std::all_of(vars.begin(), vars.end(), [&](const auto& name) { return release.is_of(name); });
}

// What became of the newest release above a version that sets these variables.
struct sent_release {
    const release_view* ours = nullptr;
    bool superseded = false; // something else was released and works since

    bool pending() const { return ours != nullptr && ours->status == "pending"; }
    bool failed() const { return ours != nullptr && ours->status == "failed" && !superseded; }
};

sent_release release_of(const std::vector<std::string>& vars, int above, const std::vector<release_view>& releases) {
    sent_release out;
    for (const auto& release : releases) {
        if (release.version <= above)
            break;
        if (sets(release, vars)) {
            out.ours = &release;
            break;
        }
        out.superseded = out.superseded || release.status == "succeeded";
    }
    return out;
}

int newest(const std::vector<release_view>& releases) {
    return releases.empty() ? 0 : releases.front().version;
}

} // namespace

bool release_view::is_of(std::string_view var) const {
    if (!description.starts_with("Set ") && !description.starts_with("Remove "))
        return false;
    const auto words = split(description, ' ');
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
        if (word.ends_with(','))
            word.remove_suffix(1);
        return word == var;
    });
}

bool release_view::is_of_any(const std::vector<std::string>& vars) const {
    return std::any_of(vars.begin(), vars.end(), [&](const auto& var) { return is_of(var); });
}

const release_view* pending_release(const std::vector<release_view>& newest_first,
                                    const std::vector<std::string>& vars) {
    auto at = std::find_if(newest_first.begin(), newest_first.end(), [&](const release_view& release) {
        return release.status == "pending" && release.is_of_any(vars);
    });
    return at == newest_first.end() ? nullptr : &*at;
}

const delivery_note* note_of(const record& r, const heroku_binding& b, const std::string& app) {
    auto at = std::find_if(r.deliveries.begin(), r.deliveries.end(), [&](const auto& n) { return n.is_of(b, app); });
    return at == r.deliveries.end() ? nullptr : &*at;
}

delivery_note& note_for(record& r, const heroku_binding& b, const std::string& app) {
    delivery_note made{b.account, app, b.vars(), 0, {}, {}};
    auto at = std::lower_bound(r.deliveries.begin(), r.deliveries.end(), made, delivery_note::in_order);
    if (at == r.deliveries.end() || !at->is_of(b, app))
        at = r.deliveries.insert(at, std::move(made));
    return *at;
}

void take_notes(record& r, const record& from) {
    std::vector<delivery_note> all;
    std::set_union(r.deliveries.begin(), r.deliveries.end(), from.deliveries.begin(), from.deliveries.end(),
                   std::back_inserter(all), delivery_note::in_order);
    r.deliveries = std::move(all);
}

const reading<app_view>* judge::view_of(const heroku_binding& b, const std::string& app) const {
    return view_of(b.account, app);
}

const app_value* judge::value_at(const heroku_binding& b, const std::string& app) const {
    const auto* view = view_of(b, app);
    if (view == nullptr || !*view)
        return nullptr;
    auto at = (*view)->values.find(b.name);
    return at == (*view)->values.end() ? nullptr : &at->second;
}

// Whether every bound app was read in this pass. Where not, says so, once per binding.
bool judge::apps_readable(life& l) {
    bool all = true;
    for (const auto* b : l.consumers) {
        for (const auto& app : b->apps) {
            if (value_at(*b, app) != nullptr)
                continue;
            all = false;
            const auto* view = view_of(*b, app);
            bool final = view != nullptr && view->failure && view->failure->kind == error_kind::refused;
            tell("HerokuBinding/" + b->name, "Delivered", status::false_, reason::app_unreadable,
                 view != nullptr && view->failure
                     ? view->failure->message()
                     : "app " + app + " could not be read: HerokuAccount " + b->account + " says why",
                 final ? weight::blocked : weight::failed);
            tell(l.resource(), "Provisioned", status::false_, reason::app_unreadable,
                 "nothing is started while app " + app + " cannot be read", weight::told);
        }
    }
    return all;
}

// Notes each app's newest release in `r`, for the record that promotes. False: a look was offered first.
bool judge::look_before_promote(life& l, record& r, const std::string& fingerprint) {
    bool complete = true;
    for (const auto* b : l.consumers) {
        for (const auto& app : b->apps) {
            const auto* value = value_at(*b, app);
            if (value == nullptr || value->fingerprint == fingerprint)
                continue;
            const auto& view = **view_of(*b, app);
            if (view.releases) {
                auto& noted = note_for(r, *b, app);
                noted.before = newest(*view.releases);
                noted.intended = fingerprint;
                continue;
            }
            complete = false;
            offer({"HerokuBinding/" + b->name,
                   "releases of " + app,
                   std::string{reason::not_delivered},
                   "a release of ours is known by standing above this one",
                   {"heroku:" + b->account + "/" + app},
                   steps::look_releases{b->account, app}});
        }
    }
    return complete;
}

// Whether the dynos run with what the config vars show: the release of a PATCH of ours takes its time, and may fail.
bool judge::is_released(const life& l, const heroku_binding& b, const std::string& app) const {
    const auto* noted = note_of(*l.rec, b, app);
    if (noted == nullptr || noted->intended.empty() || noted->intended != l.current->fingerprint)
        return true;
    const auto& view = **view_of(b, app);
    if (auto seen = view.released.find(b.name); seen != view.released.end() && seen->second == noted->intended)
        return true;
    if (!view.releases)
        return false;
    auto sent = release_of(noted->vars, 0, *view.releases); // perhaps another process's, older than our note
    return !sent.pending() && !sent.failed();
}

// Notes every bound app as one that had the credential.
void judge::claim_apps(const life& l, record& r) const {
    for (const auto* b : l.consumers) {
        for (const auto& app : b->apps) {
            if (note_of(r, *b, app) == nullptr)
                note_for(r, *b, app).delivered = l.current->fingerprint;
        }
    }
}

// As listed, but for the app that this process runs on: that one is served after all others.
std::vector<std::pair<const heroku_binding*, std::string>> judge::apps_in_order(const life& l) const {
    std::vector<std::pair<const heroku_binding*, std::string>> out;
    for (const bool own : {false, true}) {
        for (const auto* b : l.consumers) {
            for (const auto& app : b->apps) {
                if (is_own_app(app) == own)
                    out.emplace_back(b, app);
            }
        }
    }
    return out;
}

judge::answer judge::deliver(life& l) {
    const auto& c = *l.current;
    bool all = true;
    std::map<const heroku_binding*, std::size_t> served;
    for (const auto& [b, app] : apps_in_order(l)) {
        const auto resource = "HerokuBinding/" + b->name;
        const auto* view = view_of(*b, app);
        const auto* value = value_at(*b, app);
        if (value == nullptr) {
            apps_readable(l);
            return answer::no;
        }
        bool holds = value->fingerprint == c.fingerprint;
        if (holds && is_released(l, *b, app)) {
            if (++served[b] == b->apps.size())
                tell(resource, "Delivered", status::true_, reason::all_fine, "every app holds the credential",
                     weight::fine);
            continue;
        }
        all = false;
        const auto* noted = note_of(*l.rec, *b, app);
        bool ours = std::any_of(l.held->begin(), l.held->end(),
                                [&](const auto& h) { return h.second.fingerprint == value->fingerprint; }) ||
                    (l.rec->previous && l.rec->previous->fingerprint == value->fingerprint);
        bool delivered_once = noted != nullptr && !noted->delivered.empty();
        if (!holds && !value->absent && !ours && !delivered_once && !b->adopt) {
            tell(resource, "Delivered", status::false_, reason::config_var_taken,
                 join(b->vars(), ", ") + " on app " + app +
                     " holds a value that Postern did not put there; say adopt: true to have it overwritten, or "
                     "remove it",
                 weight::blocked);
            continue;
        }
        if (!holds && !value->absent && !ours) {
            l.overwrites = true;
            overwriting_.insert(resource);
        }
        bool had_it = delivered_once && noted->delivered == c.fingerprint; // rolled back, or removed
        auto why = !had_it && (value->absent || ours) ? reason::not_delivered : reason::config_drift;
        if (!holds && prove(l, c.fingerprint, why) != answer::yes) {
            tell(resource, "Delivered", status::false_, why,
                 "app " + app + " does not hold the credential in " + join(b->vars(), ", ") +
                     "; it is set once it has passed every host",
                 weight::told);
            return answer::not_yet;
        }
        const auto& releases = (*view)->releases;
        if (!releases) {
            offer({resource,
                   "releases of " + app,
                   std::string{why},
                   "a release of ours is known by standing above this one",
                   {"heroku:" + b->account + "/" + app},
                   steps::look_releases{b->account, app}});
            return answer::not_yet;
        }
        const bool is_sent = noted != nullptr && noted->intended == c.fingerprint;
        const auto sent = is_sent ? release_of(noted->vars, holds ? 0 : noted->before, *releases) : sent_release{};
        // Ours, or somebody's: what it sets is hidden until it ends.
        if (const auto* running = pending_release(*releases, b->vars())) {
            tell(resource, "Delivered", status::false_, reason::release_pending,
                 "release v" + std::to_string(running->version) + " of " + app + " is still running", weight::waiting);
            offer({resource,
                   "release v" + std::to_string(running->version) + " of " + app,
                   std::string{reason::release_pending},
                   "it is waited for, never repeated",
                   {"deliver:" + b->name + "/" + app, "heroku:" + b->account + "/" + app},
                   steps::await_release{b->account, b->name, app}});
            return answer::not_yet;
        }
        if (sent.failed()) {
            tell(resource, "Delivered", status::false_, reason::release_failed,
                 "release v" + std::to_string(sent.ours->version) + " of " + app +
                     " failed, so the app still runs with the old value; mend its release phase and deploy, then "
                     "the value is set again",
                 weight::blocked);
            return answer::no;
        }
        if (!is_sent || sent.ours != nullptr) {
            auto r = settled_record(l);
            auto& sending = note_for(r, *b, app);
            sending.before = newest(*releases);
            sending.intended = c.fingerprint;
            write_record(l, std::move(r), "record", why, "the app's newest release is noted before it is changed");
            return answer::not_yet;
        }
        offer({resource,
               join(b->vars(), ", ") + " on app " + app,
               std::string{why},
               value->absent ? (had_it ? "somebody removed it" : "the app does not have it yet")
               : ours        ? (had_it ? "somebody brought an older one back" : "the app still has an older one")
                             : "the app has another value, and ours passes its hosts",
               {"deliver:" + b->name + "/" + app, "heroku:" + b->account + "/" + app},
               steps::deliver{b->account, b->name, app, b->config_var, b->client_id_var, b->client_secret_var,
                              c.fingerprint, c.client_id, value->absent ? std::string{} : value->fingerprint}},
              l.observing);
        return answer::not_yet;
    }
    return all ? answer::yes : answer::no;
}

} // namespace postern::domain
