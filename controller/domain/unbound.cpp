#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>

// Bindings that left git, or that name another application, app or variable now, while their token stayed. What they
// put into policies is told, and taken out when that was asked for; a variable of an app is only told, because who
// reads it nobody knows.
namespace postern::domain {

// Whether the policy includes these tokens alone, however often.
bool names_nobody_else(const live_policy& p, const std::vector<std::string>& ids) {
    return std::all_of(p.include.begin(), p.include.end(), [&](const rule& r) {
        return r.is == rule::kind::service_token && std::find(ids.begin(), ids.end(), r.id) != ids.end();
    });
}

// Whether a binding still asks for what the note is about; where its application cannot be resolved, nobody knows.
bool judge::is_bound(const policy_note& note) const {
    const auto at = bound_.find(note.binding);
    return (at != bound_.end() &&
            std::find(at->second.begin(), at->second.end(), note.application) != at->second.end()) ||
           unresolved_.contains(note.binding);
}

// Ids that we put into a policy and that no other binding wants there.
std::vector<std::string> judge::left_members(const policy_note& note, const live_policy& p) const {
    std::vector<std::string> out;
    for (const auto& r : p.include) {
        if (r.is != rule::kind::service_token || std::find(note.put.begin(), note.put.end(), r.id) == note.put.end())
            continue;
        bool wanted = std::any_of(grants_.begin(), grants_.end(), [&](const grant& g) {
            return g.own != nullptr && g.own->id == p.id &&
                   std::binary_search(g.wanted.begin(), g.wanted.end(), std::string_view{r.id});
        });
        if (!wanted && std::find(out.begin(), out.end(), r.id) == out.end())
            out.push_back(r.id);
    }
    return out;
}

void judge::left_policies(life& l) {
    for (const auto& note : l.rec->policies) {
        if (is_bound(note))
            continue;
        for (const auto* listed : applications_of(*l.account).with_id(note.application)) {
            const auto& app = *listed;
            for (const auto& p : app.policies) {
                auto members = p.id == note.policy ? left_members(note, p) : std::vector<std::string>{};
                if (members.empty())
                    continue;
                auto target = "policy \"" + printable(p.name) + "\" on " + printable(app.name);
                if (!how_.prune) {
                    tell(l.resource(), "Bound", status::true_, reason::member_orphaned,
                         target + " still admits it though AccessBinding " + note.binding +
                             " left git or does not name that application any more; apply --prune takes it out",
                         weight::told);
                    continue;
                }
                std::vector<std::string> locks{policy_lock(note.binding, app.id),
                                               "app:" + l.spec->account + "/" + app.id};
                action what = steps::edit_policy{l.spec->account,
                                                 app.id,
                                                 p.id,
                                                 p.reusable,
                                                 p.version,
                                                 false,
                                                 {},
                                                 members,
                                                 used_by(l.spec->account, p.id)};
                if (names_nobody_else(p, members)) {
                    if (p.reusable) {
                        tell(l.resource(), "Bound", status::true_, reason::still_held,
                             "reusable " + target +
                                 " admits nobody but tokens whose binding left git: detach and "
                                 "delete it",
                             weight::blocked);
                        continue;
                    }
                    what = steps::delete_policy{l.spec->account, app.id, p.id, p.version};
                }
                overwriting_.insert(l.resource());
                offer({l.resource(), std::move(target), std::string{reason::member_orphaned}, "its binding left git",
                       std::move(locks), std::move(what)},
                      l.observing);
            }
        }
    }
}

std::string left_name(const std::string& token, const std::vector<std::string>& vars) {
    return "left/" + token + "/" + join(vars, ",");
}

std::string token_of_left_name(const std::string& name) {
    const auto parts = split(name, '/');
    return parts.size() == 3 && parts[0] == "left" ? std::string{parts[1]} : std::string{};
}

const reading<app_view>* judge::view_of(const std::string& account, const std::string& app) const {
    const auto* heroku = find_or_null(world_.heroku, account);
    return heroku == nullptr || !*heroku ? nullptr : find_or_null((*heroku)->apps, app);
}

const app_value* judge::value_left(const std::string& token, const delivery_note& note) const {
    const auto* view = view_of(note.account, note.app);
    return view == nullptr || !*view ? nullptr : find_or_null((*view)->values, left_name(token, note.vars));
}

bool judge::is_bound(const life& l, const delivery_note& note) const {
    return std::any_of(l.consumers.begin(), l.consumers.end(), [&](const heroku_binding* b) {
        return std::find(b->apps.begin(), b->apps.end(), note.app) != b->apps.end() && note.is_of(*b, note.app);
    });
}

// Whether two HerokuAccounts lead to the same apps; of one that left git nobody knows, so it may.
bool judge::is_same_heroku(const std::string& one, const std::string& other) const {
    auto url = [&](const std::string& name) {
        auto at =
            std::find_if(wanted_.heroku.begin(), wanted_.heroku.end(), [&](const auto& h) { return h.name == name; });
        return at == wanted_.heroku.end() ? std::string{} : at->api_url;
    };
    const auto first = url(one);
    const auto second = url(other);
    return one == other || first.empty() || second.empty() || first == second;
}

// The binding, of whichever token, that serves one of these variables now, perhaps through another HerokuAccount.
const heroku_binding* judge::taker_of(const delivery_note& note) const {
    for (const auto& b : wanted_.heroku_bindings) {
        const auto vars = b.vars();
        if (std::find(b.apps.begin(), b.apps.end(), note.app) != b.apps.end() &&
            is_same_heroku(b.account, note.account) &&
            std::find_first_of(vars.begin(), vars.end(), note.vars.begin(), note.vars.end()) != vars.end())
            return &b;
    }
    return nullptr;
}

// Whether the value is a credential of this token, whichever.
bool judge::is_one_of(const life& l, const app_value& value) const {
    if (value.absent || value.client_id.empty())
        return false;
    auto is_it = [&](const credential& c) { return c.client_id == value.client_id; };
    return (l.current && is_it(*l.current)) || (l.rec->current && is_it(*l.rec->current)) ||
           (l.rec->previous && is_it(*l.rec->previous)) ||
           std::any_of(l.rec->lingering.begin(), l.rec->lingering.end(), is_it) ||
           std::any_of(l.held->begin(), l.held->end(),
                       [&](const auto& entry) { return entry.second.client_id == value.client_id; });
}

// Whether the note can be forgotten: nobody asks for these variables, and nothing of ours is in them; or another note
// is kept of them.
bool judge::is_given_up(const life& l, const delivery_note& note) const {
    if (l.rec == nullptr || is_bound(l, note))
        return false;
    if (const auto* taker = taker_of(note);
        taker != nullptr && taker->token == l.spec->name && taker->vars() == note.vars)
        return true;
    if (const auto* value = value_left(l.spec->name, note)) {
        const bool half = note.vars.size() > 1 && !value->absent && value->client_id.empty();
        return !half && !is_one_of(l, *value);
    }
    // Heroku says 404 of what this key may not see, too: believed where it shows the account's other apps.
    const auto* view = view_of(note.account, note.app);
    if (view == nullptr || !view->failure || view->failure->status != 404)
        return false;
    const auto& apps = world_.heroku.at(note.account)->apps;
    return std::any_of(apps.begin(), apps.end(), [](const auto& app) { return !!app.second; });
}

// Whether nobody can tell just now that the variables which left hold no credential of the token. Heroku's own word
// that an app is not for this key keeps nobody waiting for ever.
bool judge::may_be_left_with(const life& l, const delivery_note& note) const {
    if (is_bound(l, note) || is_given_up(l, note) || value_left(l.spec->name, note) != nullptr)
        return false;
    const auto* heroku = find_or_null(world_.heroku, note.account);
    if (heroku == nullptr)
        return false; // its HerokuAccount left git, too
    const auto* view = view_of(note.account, note.app);
    const auto& failure = view == nullptr ? heroku->failure : view->failure;
    return !failure || (failure->status != 403 && failure->status != 404);
}

void judge::left_variables(life& l) {
    for (const auto& note : l.rec->deliveries) {
        if (is_bound(l, note) || is_given_up(l, note))
            continue;
        const auto target = join(note.vars, ", ") + " on app " + note.app;
        if (find_or_null(world_.heroku, note.account) == nullptr) {
            tell(l.resource(), "Delivered", status::unknown, reason::left_git,
                 target + " got the credential, and HerokuAccount " + note.account +
                     " left git: whether it still holds one nobody knows. Put that document back and unset the "
                     "variable; once a pass has seen that, it is forgotten",
                 weight::told);
            continue;
        }
        if (value_left(l.spec->name, note) == nullptr) {
            tell(l.resource(), "Delivered", status::unknown, reason::left_git,
                 target + " got the credential, no HerokuBinding names it any more, and the app could not be read: "
                          "whether it still holds one nobody knows",
                 may_be_left_with(l, note) ? weight::failed : weight::told);
            continue;
        }
        const auto* taker = taker_of(note);
        tell(l.resource(), "Delivered", status::unknown, reason::left_git,
             target + " still holds a credential of it, which is not kept up to date, because " +
                 (taker != nullptr ? "HerokuBinding " + taker->name + " asks for that now"
                                   : "no HerokuBinding names it any more: unset it there once nothing reads it"),
             weight::told);
    }
}

} // namespace postern::domain
