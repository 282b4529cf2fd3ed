#include "domain/judge.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <tuple>

namespace postern::domain {

namespace {

std::string_view reason_of(const error& why) {
    if (why.code == "release_failed")
        return reason::release_failed;
    switch (why.kind) {
    case error_kind::spec:
    case error_kind::credential:
    case error_kind::refused:
    case error_kind::bug:
        return reason::refused;
    case error_kind::conflict:
    case error_kind::ambiguous:
        return reason::conflict;
    case error_kind::unavailable:
    case error_kind::timeout:
    case error_kind::throttled:
    case error_kind::cancelled:
        break;
    }
    return reason::unavailable;
}

// Waiting does not help against these.
bool is_final(error_kind kind) {
    return kind == error_kind::spec || kind == error_kind::credential || kind == error_kind::refused ||
           kind == error_kind::bug;
}

// How long after its last back-off something that was given up is tried again, where there is no end to the trying.
duration given_up_for(int failures) {
    return std::min<duration>(std::chrono::minutes{5} * (1 << std::clamp(failures - 4, 0, 4)), std::chrono::hours{1});
}

std::string_view type_for(const step& s) {
    if (s.resource.starts_with("AccessBinding/"))
        return "Bound";
    if (s.resource.starts_with("HerokuBinding/"))
        return "Delivered";
    if (std::holds_alternative<steps::prove>(s.what))
        return "Verified";
    return s.resource.starts_with("ServiceToken/") ? "Provisioned" : "Ready";
}

// Sorted, and one condition per resource and type: the one that asks for most, with all that is said for its reason.
std::vector<condition> merged(std::vector<condition> all) {
    std::vector<condition*> sorted;
    sorted.reserve(all.size());
    for (auto& c : all)
        sorted.push_back(&c);
    std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
        return std::tie(a->resource, a->type, b->heft, a->reason, a->message) <
               std::tie(b->resource, b->type, a->heft, b->reason, b->message);
    });
    std::vector<condition> out;
    out.reserve(all.size());
    std::string last;
    for (auto* c : sorted) {
        bool same = !out.empty() && out.back().resource == c->resource && out.back().type == c->type;
        bool told = same && last == c->message;
        last = c->message;
        if (!same)
            out.push_back(std::move(*c));
        else if (out.back().reason == c->reason && !told)
            out.back().message += "; " + c->message;
    }
    return out;
}

template<class View>
void tell_connection(judgement& out, const std::string& resource, const reading<View>* seen) {
    if (seen == nullptr || (!*seen && !seen->failure))
        return;
    if (seen->failure) {
        out.conditions.push_back({resource, "Ready", status::false_, std::string{reason_of(*seen->failure)},
                                  seen->failure->message(), weight::failed});
        return;
    }
    out.conditions.push_back(
        {resource, "Ready", status::true_, std::string{reason::reachable}, "it answers and was read", weight::fine});
}

} // namespace

std::string policy_lock(const std::string& binding, const std::string& app) {
    return "policy:" + binding + "/" + app;
}

judge::judge(const desired& wanted, const observed& world, const settings& how, instant now,
             const std::set<std::string>& busy)
    : wanted_(wanted), world_(world), how_(how), now_(now), busy_(busy) {
    for (const auto& [name, view] : world.accounts) {
        if (view)
            index_.try_emplace(&*view, *view);
    }
    if (!how.only.empty())
        meant_ = documents_of(wanted, how.only);
    life_of_.reserve(wanted.tokens.size());
    for (std::size_t i = 0; i < wanted.tokens.size(); ++i)
        life_of_.emplace(wanted.tokens[i].name, i);
}

judge::account_index::account_index(const account_view& account) : applications(account) {
    by_id.reserve(account.tokens.size());
    by_client.reserve(account.tokens.size());
    by_name.reserve(account.tokens.size());
    for (const auto& token : account.tokens) {
        by_id.emplace(token.id, &token);
        by_client.emplace(token.client_id, &token);
        by_name[token.name].push_back(&token);
    }
    for (const auto& app : account.applications) {
        auto& index = policies[&app];
        for (const auto& policy : app.policies) {
            if (policy.reusable)
                users[policy.id].push_back(&app);
            index.by_id.emplace(policy.id, &policy);
            index.by_name[policy.name].push_back(&policy);
            for (const auto& r : policy.include) {
                if (r.is != rule::kind::service_token)
                    continue;
                auto& naming = index.by_token[r.id];
                if (naming.empty() || naming.back() != &policy)
                    naming.push_back(&policy);
            }
            if (policy.decides == decision::bypass)
                index.bypasses.push_back(&policy);
            index.highest = std::max(index.highest, policy.precedence);
        }
    }
}

const record* judge::record_of(const std::string& token) const {
    for (const auto& [name, vault] : world_.vaults) {
        if (!vault || !vault->state)
            continue;
        if (auto at = vault->state->records.find(token); at != vault->state->records.end())
            return &at->second;
    }
    return nullptr;
}

const std::vector<const judge::named_record*>& judge::records_with(const std::string& token_id) {
    static const std::vector<const named_record*> none;
    if (!records_with_) {
        records_with_.emplace();
        for (const auto& [name, vault] : world_.vaults) {
            if (!vault || !vault->state)
                continue;
            for (const auto& entry : vault->state->records) {
                if (entry.second.current)
                    (*records_with_)[entry.second.current->token_id].push_back(&entry);
            }
        }
    }
    auto at = records_with_->find(token_id);
    return at == records_with_->end() ? none : at->second;
}

const life* judge::life_with(const std::string& token_id) {
    if (!life_with_) {
        life_with_.emplace();
        for (const auto& l : lives_) {
            if (l.current)
                life_with_->emplace(l.current->token_id, &l);
        }
    }
    auto at = life_with_->find(token_id);
    return at == life_with_->end() ? nullptr : at->second;
}

void judge::find_holders() {
    for (const auto& [name, vault] : world_.vaults) {
        if (!vault)
            continue;
        for (const auto& [path, folder] : vault->folders) {
            if (!folder)
                continue;
            for (const auto& [key, value] : folder->values)
                holders_[value.client_id].push_back({&path, &key, &value.fingerprint, nullptr});
        }
    }
    for (const auto& [name, account] : world_.heroku) {
        if (!account)
            continue;
        for (const auto& [app, view] : account->apps) {
            if (!view)
                continue;
            for (const auto& [binding, value] : view->values)
                holders_[value.client_id].push_back({&app, &binding, &value.fingerprint, &value});
        }
    }
}

bool judge::is_relied_on(const std::string& client_id) const {
    auto at = holders_.find(client_id);
    return !client_id.empty() && at != holders_.end() &&
           std::any_of(at->second.begin(), at->second.end(), [&](const holder& h) {
               // What nobody will bring up to date does not keep a compromised credential alive.
               const auto* left = h.in_app == nullptr ? nullptr : record_of(token_of_left_name(*h.name));
               return left == nullptr || !is_hurried(*left);
           });
}

bool judge::is_relied_on(const account_view& account, const std::string& token_id) const {
    const auto* token = token_by_id(account, token_id);
    return token == nullptr || is_relied_on(token->client_id);
}

// Whatever led to it: no token of which a vault key or an app holds the credential is disabled or deleted.
bool judge::would_cut_off(const step& s) {
    std::string account;
    std::string id;
    if (const auto* deleted = std::get_if<steps::delete_token>(&s.what)) {
        account = deleted->account;
        id = deleted->token_id;
    } else if (const auto* update = std::get_if<steps::update_token>(&s.what);
               update != nullptr && update->enabled == false) {
        account = update->account;
        id = update->token_id;
    } else {
        return false;
    }
    if (!is_relied_on(*world_.accounts.at(account), id))
        return false;
    tell(s.resource, "Ready", status::unknown, reason::still_held,
         s.target + " is not touched: a vault key or an app still holds its credential", weight::blocked);
    return true;
}

judgement judge::run() {
    find_holders();
    connections();
    find_grants();
    // Where all is as declared: of each token four, of each place that is bound or served one.
    out_.conditions.reserve(4 * wanted_.tokens.size() + grants_.size() + wanted_.heroku_bindings.size() +
                            out_.conditions.size());
    lives_.reserve(wanted_.tokens.size());
    for (const auto& token : wanted_.tokens)
        lives_.push_back(find(token));
    for (std::size_t i = 0; i < grants_.size(); ++i) {
        for (const auto& token : grants_[i].binding->tokens) {
            if (auto at = life_of_.find(token); at != life_of_.end())
                lives_[at->second].grants.push_back(i);
        }
    }
    for (const auto& b : wanted_.heroku_bindings) {
        if (auto at = life_of_.find(b.token); at != life_of_.end())
            lives_[at->second].consumers.push_back(&b);
    }
    for (auto& l : lives_) {
        if (!l.unready) {
            find_current(l);
            find_pending(l);
            find_retirement(l);
        }
    }
    find_sweepable();
    judge_grants();
    for (auto& l : lives_)
        advance(l);
    start_rotations();
    left_git();
    sweep();
    serve_own_app();
    guard_mass_changes();

    for (auto& [resource, what] : drift_)
        tell(resource, "Ready", status::false_, reason::observed_drift,
             "observed only; would be done: " + join(what, "; "), weight::told);
    auto& all = out_.conditions;
    std::erase_if(all, [&](const condition& c) {
        return !is_meant(c.resource) && !c.resource.starts_with("CloudflareAccount/") &&
               !c.resource.starts_with("HerokuAccount/");
    });
    all = merged(std::move(all));
    return std::move(out_);
}

void judge::connections() {
    for (const auto& a : wanted_.cloudflare)
        tell_connection(out_, "CloudflareAccount/" + a.name, find_or_null(world_.accounts, a.name));
    for (const auto& v : wanted_.vaults) {
        const auto* view = find_or_null(world_.vaults, v.name);
        tell_connection(out_, "InfisicalVault/" + v.name, view);
        if (view != nullptr && *view)
            tell_connection(out_, "InfisicalVault/" + v.name, &(*view)->state);
    }
    for (const auto& h : wanted_.heroku)
        tell_connection(out_, "HerokuAccount/" + h.name, find_or_null(world_.heroku, h.name));
}

void judge::tell(std::string resource, std::string_view type, status is, std::string_view why, std::string message,
                 weight heft) {
    out_.conditions.push_back({std::move(resource), std::string{type}, is, std::string{why}, std::move(message), heft});
}

void judge::wake_at(instant at) {
    if (!out_.wake || at < *out_.wake)
        out_.wake = at;
}

// A folder whose writes wait for somebody's approval stores nothing: nobody writes there again in this process.
bool judge::awaits_approval(const step& s) {
    const auto where = vault_folder_of(s);
    if (!where || !world_.awaiting_approval.contains(*where))
        return false;
    tell(s.resource, type_for(s), status::false_, reason::awaiting_approval,
         "the vault answered a write to " + where->second +
             " with an approval request: nothing was stored. Let Postern's identity bypass the change policy of this "
             "folder, or merge the request",
         weight::blocked);
    return true;
}

bool judge::is_meant(const std::string& resource) const {
    return how_.only.empty() || resource.starts_with("InfisicalVault/") || meant_.contains(resource);
}

void judge::offer(step s, bool observing) {
    if (!is_meant(s.resource) || awaits_approval(s) || would_cut_off(s) || sets_aside(s, observing))
        return;
    if (const auto* t = find_or_null(world_.troubles, s.locks.front())) {
        if (is_final(t->why.kind) || t->count >= how_.max_failures) {
            const auto again = t->again + given_up_for(t->count);
            if (!how_.for_ever || now_ < again) {
                if (how_.for_ever)
                    wake_at(again);
                tell(s.resource, type_for(s), status::false_, reason_of(t->why),
                     t->why.message() + (how_.for_ever ? "; tried again at " + format_instant(again) : std::string{}),
                     is_final(t->why.kind) ? weight::blocked : weight::failed);
                return;
            }
        } else if (now_ < t->again) {
            wake_at(t->again);
            tell(s.resource, type_for(s), status::unknown, reason::retrying,
                 t->why.message() + "; tried again at " + format_instant(t->again), weight::waiting);
            return;
        }
    }
    s.observed = (observing || how_.observe) && writes(s);
    if (s.observed && !how_.released) {
        drift_[s.resource].push_back(word(s) + " " + s.target + " (" + s.reason + ")");
        return;
    }
    bool free = std::none_of(s.locks.begin(), s.locks.end(),
                             [&](const auto& lock) { return busy_.contains(lock) || claimed_.contains(lock); });
    if (!free)
        return;
    claimed_.insert(s.locks.begin(), s.locks.end());
    out_.steps.push_back(std::move(s));
}

void judge::guard_mass_changes() {
    auto total = std::max(lives_.size(), wanted_.bindings.size());
    for (const auto& [name, vault] : world_.vaults) {
        if (vault && vault->state)
            total = std::max(total, vault->state->records.size());
    }
    if (total < 10 || overwriting_.size() * 100 <= static_cast<std::size_t>(how_.max_changes) * total)
        return;
    std::erase_if(out_.steps, [&](const step& s) { return overwriting_.contains(s.resource) && writes(s); });
    for (const auto& resource : overwriting_)
        tell(resource, "Ready", status::false_, reason::mass_change,
             "this pass would delete or overwrite objects of " + std::to_string(overwriting_.size()) + " of " +
                 std::to_string(total) + " tokens, more than " + std::to_string(how_.max_changes) +
                 " %: nothing of them is done; look at the plan and raise --max-changes if it is meant",
             weight::blocked);
}

judgement next(const desired& wanted, const observed& world, const settings& how, instant now,
               const std::set<std::string>& busy) {
    return judge{wanted, world, how, now, busy}.run();
}

std::set<std::string> documents_of(const desired& wanted, const std::string& token) {
    std::set<std::string> out{"ServiceToken/" + token};
    for (const auto& b : wanted.bindings) {
        if (std::find(b.tokens.begin(), b.tokens.end(), token) != b.tokens.end())
            out.insert("AccessBinding/" + b.name);
    }
    for (const auto& b : wanted.heroku_bindings) {
        if (b.token == token)
            out.insert("HerokuBinding/" + b.name);
    }
    return out;
}

} // namespace postern::domain
