#pragma once

#include "domain/application.hpp"
#include "domain/next.hpp"
#include "domain/reason.hpp"
#include "domain/rotation.hpp"

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// The working state of one call of next(): what the documents mean in the world as it was seen, and what has been
// decided so far. Private to the domain; next() is its only user. Each part of the judgement has a file of its own:
// life.cpp (what a token
// has), chain.cpp (how a credential comes to be), upkeep.cpp (what is in force), rotation.cpp, retire.cpp, sweep.cpp,
// proving.cpp, recording.cpp, grant.cpp (policies), delivery.cpp (Heroku), own_app.cpp (the app that this runs on),
// unbound.cpp (bindings that left git), leaving.cpp (tokens that did).
namespace postern::domain {

// How long Cloudflare lets a previous secret live, less what a request may take.
inline constexpr duration longest_cut_off = std::chrono::hours{30 * 24} - std::chrono::minutes{1};

// The policies of one application, in their order.
struct policy_index {
    std::unordered_map<std::string_view, const live_policy*> by_id;
    std::unordered_map<std::string_view, std::vector<const live_policy*>> by_name;
    std::unordered_map<std::string_view, std::vector<const live_policy*>> by_token; // that includes it
    std::vector<const live_policy*> bypasses;
    int highest = 0; // precedence

    // Those that include one of these tokens.
    std::vector<const live_policy*> naming(const std::vector<std::string_view>& ids) const;
};

// Policies of one binding on one application.
struct grant {
    const access_binding* binding = nullptr;
    const live_application* app = nullptr;  // null: `trouble` says why
    const policy_index* policies = nullptr; // of the application
    std::optional<problem> trouble;         // the application or its hosts cannot be used
    std::span<const site> where;            // where a credential is proved
    std::vector<std::string_view> wanted;   // sorted ids of the tokens that its policy must admit
    const live_policy* own = nullptr;       // the binding's policy, if there is one that can do the work
    bool observing = false;
    bool narrowed = false; // its policy has rules that may keep a bound token out
    bool stuck = false;    // its policy needs a person
};

// One service token: its document, what the vault and Cloudflare say of it, and which credentials it has.
struct life {
    const service_token* spec = nullptr;
    const account_view* account = nullptr;
    const vault_view* vault = nullptr;
    const state_view* state = nullptr;
    const folder_view* folder = nullptr;
    const record* rec = nullptr;
    const std::map<std::string, vault_value>* held = nullptr; // by nonce; never null once ready
    const vault_value* shown = nullptr;                       // what the consumers' key holds

    std::optional<problem> unready; // nothing can be decided
    weight heft = weight::told;     // of `unready`
    bool waiting = false;           // a look was offered: decide nothing in this call

    std::optional<credential> current; // in force, or found in the world and to be adopted
    bool gone = false;                 // the record's current token was proved to be gone
    std::optional<credential> pending; // made and held, not promoted
    bool discard = false;              // `pending` has not passed for too long: it is thrown away
    std::vector<std::size_t> grants;   // indices into judge::grants
    std::vector<const heroku_binding*> consumers;
    bool observing = false;
    std::optional<rotation> due;      // a rule asks for another credential
    bool may_rotate = false;          // all is as declared, or there is no time to wait for that
    std::vector<std::string> lagging; // who still holds the previous credential
    bool left_lagging = false;        // among them a variable that nobody will bring up to date
    bool retiring = false;            // the overlap is over: the previous credential goes
    bool overwrites = false;          // a living object of somebody's would be overwritten or deleted

    std::string resource() const { return "ServiceToken/" + spec->name; }
};

class judge {
public:
    judge(const desired& wanted, const observed& world, const settings& how, instant now,
          const std::set<std::string>& busy);

    judgement run();

private:
    enum class answer { yes, not_yet, no };

    // ---- shared (judge.cpp)
    void connections();
    void find_holders();
    const record* record_of(const std::string& token) const; // null: there is none, or no such token
    using named_record = std::map<std::string, record>::value_type;
    // By token name, those in which this token is the one in force.
    const std::vector<const named_record*>& records_with(const std::string& token_id);
    // The first in which this token is in force; null: none.
    const life* life_with(const std::string& token_id);
    // Takes the step into the judgement unless something it needs is busy, it has failed too often, or it must wait.
    void offer(step s, bool observing = false);
    bool awaits_approval(const step& s);
    void tell(std::string resource, std::string_view type, status is, std::string_view why, std::string message,
              weight heft);
    void wake_at(instant at);
    // Whether anybody asked about this resource.
    bool is_meant(const std::string& resource) const;
    // Whether a vault key or an app holds a credential of this client id.
    bool is_relied_on(const std::string& client_id) const;
    // The same of a token; of one that no list shows nobody knows.
    bool is_relied_on(const account_view& account, const std::string& token_id) const;
    // Whether taking this step would end a credential that somebody relies on.
    bool would_cut_off(const step& s);
    void guard_mass_changes();

    // ---- own_app.cpp
    bool is_own_app(const std::string& app) const;
    bool sets_aside(const step& s, bool observing);
    void serve_own_app();
    std::vector<std::string> unfinished() const;

    // ---- life.cpp, chain.cpp, upkeep.cpp, proving.cpp, recording.cpp
    life find(const service_token& spec);
    void doubt_empty_list(life& l);
    bool prove_absence(const life& l, const std::string& token_id, std::string_view why);
    bool is_hopeless(const life& l) const;
    void find_current(life& l);
    void find_pending(life& l);
    void advance(life& l);
    void adopt(life& l);
    bool was_renamed(const life& l, const std::string& old_name, const record& r) const;
    void issue(life& l, std::string_view why, std::string words, const std::string& from_fingerprint = {},
               strategy how = strategy::replace);
    std::optional<std::string> second_secret(const life& l) const;
    bool may_rotate_in_place(life& l, const intent& intended);
    bool renew_first(life& l, const intent& intended);
    void carry_pending(life& l);
    bool leaves_policies(const life& l, const std::string& token_id, std::string_view why, std::string words);
    void discard_pending(life& l);
    void make_single(life& l);
    void maintain(life& l);
    bool enabled_again(life& l);
    bool keep_vault(life& l);
    // Offers the proofs that are missing; yes once every site of every bound application passed in this pass.
    answer prove(life& l, const std::string& fingerprint, std::string_view why, bool only_owed = false);
    bool may_issue(life& l, std::string_view why);
    bool may_overwrite(life& l, std::string_view why);
    bool authorized(const life& l) const;
    bool is_dead(const life& l, const std::string& fingerprint) const;
    struct rescue {
        std::optional<std::string> fingerprint; // of a value that a consumer holds and that passes while ours does not
        bool over = false;                      // there is none, or ours passes
    };
    rescue emergency_fix(life& l);
    bool is_stale(const life& l) const;
    record base_record(const life& l) const;
    record settled_record(const life& l) const;
    void write_record(life& l, record value, std::string stage, std::string_view why, std::string words);
    void hold(life& l, const credential& c, std::string_view why, std::string words);
    std::string new_nonce(const life& l) const;
    std::string nonce_to_keep(const life& l, const credential& c) const;
    bool available(const life& l, const std::string& fingerprint) const;
    bool is_held(const life& l, const std::string& fingerprint) const;
    bool is_consumed(const life& l, const std::string& fingerprint) const;
    const application_index& applications_of(const account_view& a) const;
    const std::vector<const live_token*>& tokens_by_name(const account_view& a, const std::string& name) const;
    const live_token* token_by_id(const account_view& a, const std::string& id) const;
    const live_token* token_by_client(const account_view& a, const std::string& client_id) const;

    // ---- rotation.cpp
    bool keep_alive(life& l);
    bool note_request(life& l);
    void schedule(life& l);
    bool is_under_way(const life& l) const;
    void start_rotations();
    bool start_rotation(life& l);
    void settle_request(life& l);
    void extend(const life& l, const live_token& token, std::string_view why, std::string words);
    std::vector<std::string> admitted_elsewhere(const life& l, const std::string& token_id) const;
    std::vector<std::string> referrers(const account_view& account, const std::string& token_id) const;

    // ---- retire.cpp
    void find_retirement(life& l);
    std::vector<std::string> laggards(const life& l, bool& left) const;
    void retire(life& l);
    void stretch(life& l);
    void keep_previous_secret(life& l);
    bool cut_off_told(life& l, instant until, std::string_view why);
    bool token_ended(life& l);
    bool refused_everywhere(life& l);
    void delete_lingering(life& l);
    void delete_token(const life& l, const std::string& id, std::string lock, std::string_view why, std::string words);
    void forget_key(const life& l, const std::string& nonce, const std::string& fingerprint, std::string_view why,
                    std::string words);

    // ---- sweep.cpp
    void find_sweepable();
    void sweep();
    bool tidy_held(life& l);

    // ---- grant.cpp
    void find_grants();
    void judge_grants();
    void judge_grant(grant& g);
    std::vector<std::string_view> wanted_ids(const access_binding& b) const;
    std::set<std::string_view> retired_ids(const access_binding& b) const;
    bool correct_allow(grant& g);
    const live_policy* find_own(const grant& g) const;
    bool bound_everywhere(const grant& g, const live_policy& p) const;
    bool is_gone(const grant& g, const std::string& id);
    bool is_orphan(const grant& g, const std::string& id);
    int used_by(const std::string& account, const std::string& policy) const;
    bool is_put_by_us(const grant& g, const std::string& id);

    // ---- delivery.cpp
    // Yes once every bound app that can be served holds `fingerprint`.
    answer deliver(life& l);
    std::vector<std::pair<const heroku_binding*, std::string>> apps_in_order(const life& l) const;
    void claim_apps(const life& l, record& r) const;
    bool is_released(const life& l, const heroku_binding& b, const std::string& app) const;
    const app_value* value_at(const heroku_binding& b, const std::string& app) const;
    const reading<app_view>* view_of(const heroku_binding& b, const std::string& app) const;
    bool apps_readable(life& l);
    bool look_before_promote(life& l, record& r, const std::string& fingerprint);

    // ---- unbound.cpp
    // Policies that still admit the token though the binding that put it there left git.
    void left_policies(life& l);
    bool is_bound(const policy_note& note) const;
    std::vector<std::string> left_members(const policy_note& note, const live_policy& p) const;
    // Variables of apps that still hold a credential of the token though no binding names them any more.
    void left_variables(life& l);
    bool is_same_heroku(const std::string& one, const std::string& other) const;
    const heroku_binding* taker_of(const delivery_note& note) const;
    bool is_bound(const life& l, const delivery_note& note) const;
    bool is_given_up(const life& l, const delivery_note& note) const;
    bool may_be_left_with(const life& l, const delivery_note& note) const;
    const reading<app_view>* view_of(const std::string& account, const std::string& app) const;
    const app_value* value_left(const std::string& token, const delivery_note& note) const;
    bool is_one_of(const life& l, const app_value& value) const;

    // ---- leaving.cpp
    void left_git();
    const life* heir_of(const std::string& token_id);
    void forget_left(const std::string& vault, const state_view& state, const std::string& token, std::string words);
    void leave(const std::string& vault, const state_view& state, const std::string& token, const record& r);

    const desired& wanted_;
    const observed& world_;
    const settings& how_;
    instant now_;
    const std::set<std::string>& busy_;
    std::set<std::string> meant_; // documents of the one token that was asked about

    struct account_index {
        explicit account_index(const account_view& account);

        std::unordered_map<std::string_view, const live_token*> by_id;
        std::unordered_map<std::string_view, const live_token*> by_client;
        std::unordered_map<std::string_view, std::vector<const live_token*>> by_name;
        application_index applications;
        // Reusable policies: which applications use them.
        std::unordered_map<std::string_view, std::vector<const live_application*>> users;
        std::unordered_map<const live_application*, policy_index> policies;
        // By application id, the sorted ids of the tokens that the specs bind to it.
        std::unordered_map<std::string_view, std::vector<std::string_view>> bound;
    };
    std::map<const account_view*, account_index> index_;
    // Where credentials are proved, by application, and by the path and the hosts of the smoke test.
    using places = std::variant<std::vector<site>, problem>;
    std::unordered_map<const live_application*, std::map<std::pair<std::string_view, std::vector<std::string>>, places>>
        places_;
    // A vault key that holds a credential, or the variables of an app that do.
    struct holder {
        const std::string* place;       // a folder, or an app
        const std::string* name;        // the key; or a HerokuBinding's name, or left_name()
        const std::string* fingerprint; // of what it holds
        const app_value* in_app;        // null: a vault key
    };
    std::unordered_map<std::string_view, std::vector<holder>> holders_; // by client id, the keys first
    // Made when they are first asked for, which a world that is as declared does not.
    std::optional<std::unordered_map<std::string_view, std::vector<const named_record*>>> records_with_;
    std::optional<std::unordered_map<std::string_view, const life*>> life_with_;
    // What the records say we put into the policy of a binding on an application.
    std::optional<std::map<std::pair<std::string_view, std::string_view>, std::set<std::string_view>>> put_;
    // How many tokens in force the records know of an account whose list shows none.
    std::map<std::pair<const state_view*, std::string_view>, std::size_t> doubted_;
    std::vector<life> lives_;
    std::unordered_map<std::string_view, std::size_t> life_of_; // token name → index
    std::vector<grant> grants_;
    std::unordered_map<std::string_view, std::vector<std::string_view>> bound_; // binding → ids of its applications
    std::set<std::string> unresolved_; // bindings of which an application could not be resolved

    std::map<std::string, std::string> sweepable_; // token id → account
    judgement out_;
    std::vector<step> own_;                                 // what would restart this very process
    bool own_served_ = false;                               // they have been looked at
    std::set<std::string> claimed_;                         // locks of what was offered in this call
    std::map<std::string, std::vector<std::string>> drift_; // observed resources → what would be done
    std::set<std::string> overwriting_;                     // resources that overwrite or delete
};

template<class Map>
auto find_or_null(Map& map, const std::string& key) -> decltype(&map.begin()->second) {
    auto at = map.find(key);
    return at == map.end() ? nullptr : &at->second;
}

// Whether the text asks for `key`: "I authorize KEY", or "I authorize KEY again YYYY-MM-DD".
bool authorizes(const std::string& text, const std::string& key);

// What a token is called until it is promoted.
std::string pending_name(const service_token& t, const std::string& nonce);

std::string policy_lock(const std::string& binding, const std::string& app);

// What the record says of these variables of the app; null where it says nothing.
const delivery_note* note_of(const record& r, const heroku_binding& b, const std::string& app);
// The same, made where there is none; the notes stay sorted.
delivery_note& note_for(record& r, const heroku_binding& b, const std::string& app);

// Adds the notes of another record that this one lacks.
void take_notes(record& r, const record& from);

// The credential before was compromised, or the one in force is, which nobody waits an overlap for.
bool is_hurried(const record& r);

// Whether the policy includes these tokens alone, however often.
bool names_nobody_else(const live_policy& p, const std::vector<std::string>& ids);

} // namespace postern::domain
