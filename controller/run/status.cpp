#include "run/status.hpp"

#include "base/text.hpp"
#include "domain/rotation.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace postern::run {

namespace json = boost::json;
using domain::condition;
using domain::weight;

namespace {

constexpr int format = 1;

constexpr std::array states{domain::status::true_, domain::status::false_, domain::status::unknown};
constexpr std::array weights{weight::fine, weight::told, weight::waiting, weight::blocked, weight::failed};

const domain::record* record_of(const domain::state_view* state, const std::string& token) {
    if (state == nullptr)
        return nullptr;
    const auto at = state->records.find(token);
    return at == state->records.end() ? nullptr : &at->second;
}

const domain::state_view* state_of(const domain::service_token& spec, const domain::observed& world) {
    const auto vault = world.vaults.find(spec.vault);
    if (vault == world.vaults.end() || !vault->second || !vault->second->state)
        return nullptr;
    return &*vault->second->state;
}

// What is done last of design section 5's chain, as the record and the write-once keys tell it.
std::string stage_of(const std::string& token, const domain::record& r, const domain::state_view& state,
                     const domain::observed& world, instant now) {
    if (r.pending) {
        const auto& nonce = r.pending->nonce;
        const auto keys = state.held.find(token);
        if (keys == state.held.end() || !keys->second.contains(nonce))
            return world.minted.contains(nonce) ? "mint" : "intend";
        const auto& held = keys->second.at(nonce).fingerprint;
        const bool shown = std::any_of(world.proofs.begin(), world.proofs.end(),
                                       [&](const auto& tried) { return tried.first.fingerprint == held; });
        return shown ? "prove" : "hold";
    }
    if (r.previous && r.previous_until)
        return *r.previous_until > now ? "overlap" : "retire";
    const bool unconfirmed = r.current && !r.current->fingerprint.empty() && r.confirmed != r.current->fingerprint;
    return r.previous || unconfirmed ? "deliver" : "";
}

std::optional<instant> due_of(const domain::rotation_facts& facts) {
    if (const auto due = domain::rotation_due(facts))
        return due->since;
    if (const auto ahead = domain::rotation_ahead(facts))
        return ahead->since;
    return std::nullopt;
}

using live_tokens = std::unordered_map<std::string, const domain::live_token*>;

token_status token_of(const domain::service_token& spec, const domain::observed& world,
                      const std::map<std::string, live_tokens>& live, instant now) {
    token_status out;
    out.name = spec.name;
    out.cadence_key = spec.cadence_key;
    const auto* state = state_of(spec, world);
    const auto* r = record_of(state, spec.name);
    if (r == nullptr)
        return out;
    out.stage = stage_of(spec.name, *r, *state, world, now);
    if (r->previous)
        out.previous_until = r->previous_until;
    if (!r->current)
        return out;
    out.token_id = r->current->token_id;
    out.client_id = r->current->client_id;
    out.fingerprint = r->current->fingerprint;
    const auto account = live.find(spec.account);
    if (account == live.end())
        return out;
    const auto at = account->second.find(out.token_id);
    if (at == account->second.end())
        return out;
    out.expires_at = at->second->expires_at;
    out.rotation_due = due_of({spec, *r, *at->second, now});
    return out;
}

// ---- JSON

json::value time_json(const std::optional<instant>& at) {
    return at ? json::value(format_instant(*at)) : json::value(nullptr);
}

json::value duration_json(const std::optional<duration>& d) {
    return d ? json::value(format_duration(*d)) : json::value(nullptr);
}

json::object to_object(const token_status& t) {
    return {{"name", printable(t.name)},
            {"cadenceKey", printable(t.cadence_key)},
            {"tokenId", printable(t.token_id)},
            {"clientId", printable(t.client_id)},
            {"fingerprint", printable(t.fingerprint)},
            {"expiresAt", time_json(t.expires_at)},
            {"rotationDue", time_json(t.rotation_due)},
            {"previousUntil", time_json(t.previous_until)},
            {"stage", printable(t.stage)}};
}

json::object to_object(const condition& c) {
    return {{"resource", printable(c.resource)}, {"type", printable(c.type)},       {"status", word_of(c.is)},
            {"reason", printable(c.reason)},     {"message", printable(c.message)}, {"weight", word_of(c.heft)}};
}

json::object to_object(const connection_status& c) {
    return {{"resource", printable(c.resource)}, {"expiresAt", time_json(c.expires_at)}};
}

template<class Items>
json::array to_array(const Items& items) {
    json::array out;
    out.reserve(items.size());
    for (const auto& item : items)
        out.emplace_back(to_object(item));
    return out;
}

// What is wrong with a document, by the member that is; caught by parse_status().
struct wrong_member : std::runtime_error {
    using std::runtime_error::runtime_error;
};

const json::value& member(const json::object& in, std::string_view name) {
    const auto* value = in.if_contains(name);
    if (value == nullptr)
        throw wrong_member{std::string{name} + " is missing"};
    return *value;
}

std::string text(const json::object& in, std::string_view name) {
    const auto* value = member(in, name).if_string();
    if (value == nullptr)
        throw wrong_member{std::string{name} + " is not a text"};
    return {value->data(), value->size()};
}

std::int64_t number(const json::object& in, std::string_view name) {
    const auto* value = member(in, name).if_int64();
    if (value == nullptr)
        throw wrong_member{std::string{name} + " is not a whole number"};
    return *value;
}

bool flag(const json::object& in, std::string_view name) {
    const auto* value = member(in, name).if_bool();
    if (value == nullptr)
        throw wrong_member{std::string{name} + " is neither true nor false"};
    return *value;
}

std::optional<instant> maybe_time(const json::object& in, std::string_view name) {
    if (member(in, name).is_null())
        return std::nullopt;
    const auto at = parse_instant(text(in, name));
    if (!at)
        throw wrong_member{std::string{name} + " is not a time"};
    return at;
}

instant time(const json::object& in, std::string_view name) {
    const auto at = maybe_time(in, name);
    if (!at)
        throw wrong_member{std::string{name} + " is not a time"};
    return *at;
}

std::optional<duration> maybe_duration(const json::object& in, std::string_view name) {
    if (member(in, name).is_null())
        return std::nullopt;
    const auto d = parse_duration(text(in, name));
    if (d.has_error())
        throw wrong_member{std::string{name} + " is not a duration"};
    return d.value();
}

template<class Values>
auto one_of(const Values& values, const json::object& in, std::string_view name) {
    const auto word = text(in, name);
    const auto at = std::find_if(values.begin(), values.end(), [&](auto value) { return word_of(value) == word; });
    if (at == values.end())
        throw wrong_member{std::string{name} + " is a word that is not known here"};
    return *at;
}

template<class Read>
auto each(const json::object& in, std::string_view name, Read read) {
    const auto* items = member(in, name).if_array();
    if (items == nullptr)
        throw wrong_member{std::string{name} + " is not a list"};
    std::vector<std::invoke_result_t<Read, const json::object&>> out;
    out.reserve(items->size());
    for (const auto& item : *items) {
        if (!item.is_object())
            throw wrong_member{std::string{name} + " holds something that is not an object"};
        out.push_back(read(item.get_object()));
    }
    return out;
}

token_status read_token(const json::object& in) {
    token_status t;
    t.name = text(in, "name");
    t.cadence_key = text(in, "cadenceKey");
    t.token_id = text(in, "tokenId");
    t.client_id = text(in, "clientId");
    t.fingerprint = text(in, "fingerprint");
    t.expires_at = maybe_time(in, "expiresAt");
    t.rotation_due = maybe_time(in, "rotationDue");
    t.previous_until = maybe_time(in, "previousUntil");
    t.stage = text(in, "stage");
    return t;
}

condition read_condition(const json::object& in) {
    condition c;
    c.resource = text(in, "resource");
    c.type = text(in, "type");
    c.is = one_of(states, in, "status");
    c.reason = text(in, "reason");
    c.message = text(in, "message");
    c.heft = one_of(weights, in, "weight");
    return c;
}

connection_status read_connection(const json::object& in) {
    return {text(in, "resource"), maybe_time(in, "expiresAt")};
}

status read_status(const json::object& in) {
    if (number(in, "v") != format)
        throw wrong_member{"its format is " + std::to_string(number(in, "v")) + ", this program knows " +
                           std::to_string(format)};
    status s;
    s.version = text(in, "version");
    s.holder = text(in, "holder");
    s.epoch = number(in, "epoch");
    s.leading = flag(in, "leading");
    s.leader = text(in, "leader");
    s.observing = flag(in, "observing");
    s.revision = text(in, "revision");
    s.specs_problem = text(in, "specsProblem");
    s.store_problem = text(in, "storeProblem");
    s.started_at = time(in, "startedAt");
    s.at = time(in, "at");
    s.pass = number(in, "pass");
    s.pass_began = maybe_time(in, "passBegan");
    s.pass_took = maybe_duration(in, "passTook");
    // Older versions did not save these.
    if (in.contains("silentHolder"))
        s.silent_holder = text(in, "silentHolder");
    if (in.contains("lastWholePass"))
        s.last_whole_pass = maybe_time(in, "lastWholePass");
    s.last_good_pass = maybe_time(in, "lastGoodPass");
    s.next_pass = maybe_time(in, "nextPass");
    s.tokens = each(in, "tokens", read_token);
    s.connections = each(in, "connections", read_connection);
    s.conditions = each(in, "conditions", read_condition);
    return s;
}

error not_a_status(std::string_view why) {
    return {error_kind::unavailable, "status", std::string{why}, 0, {}, {}};
}

} // namespace

std::string_view word_of(domain::status s) {
    switch (s) {
    case domain::status::true_:
        return "True";
    case domain::status::false_:
        return "False";
    case domain::status::unknown:
        break;
    }
    return "Unknown";
}

std::string_view word_of(weight w) {
    switch (w) {
    case weight::fine:
        return "fine";
    case weight::told:
        return "told";
    case weight::waiting:
        return "waiting";
    case weight::blocked:
        return "blocked";
    case weight::failed:
        break;
    }
    return "failed";
}

std::vector<token_status> tokens_of(const domain::desired& wanted, const domain::observed& world, instant now) {
    std::map<std::string, live_tokens> live;
    for (const auto& [name, account] : world.accounts) {
        if (!account)
            continue;
        for (const auto& token : account->tokens)
            live[name].emplace(token.id, &token);
    }
    std::vector<token_status> out;
    out.reserve(wanted.tokens.size());
    for (const auto& spec : wanted.tokens)
        out.push_back(token_of(spec, world, live, now));
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return out;
}

result<status> only_token(status s, const std::string& name) {
    std::vector<std::string> names;
    for (const auto& t : s.tokens)
        names.push_back(t.name);
    if (std::find(names.begin(), names.end(), name) == names.end()) {
        const auto meant = nearest(name, names);
        return error{error_kind::spec,
                     "status",
                     "there is no ServiceToken \"" + printable(name) + "\"" +
                         (meant ? ", did you mean \"" + printable(*meant) + "\"?" : ""),
                     0,
                     {},
                     {}};
    }
    std::erase_if(s.tokens, [&](const auto& t) { return t.name != name; });
    std::erase_if(s.conditions, [&](const auto& c) { return c.resource != "ServiceToken/" + name; });
    return s;
}

std::string to_json(const status& s) {
    const json::object out{{"v", format},
                           {"version", printable(s.version)},
                           {"holder", printable(s.holder)},
                           {"epoch", s.epoch},
                           {"leading", s.leading},
                           {"leader", printable(s.leader)},
                           {"silentHolder", printable(s.silent_holder)},
                           {"observing", s.observing},
                           {"revision", printable(s.revision)},
                           {"specsProblem", printable(s.specs_problem)},
                           {"storeProblem", printable(s.store_problem)},
                           {"startedAt", format_instant(s.started_at)},
                           {"at", format_instant(s.at)},
                           {"pass", s.pass},
                           {"passBegan", time_json(s.pass_began)},
                           {"passTook", duration_json(s.pass_took)},
                           {"lastWholePass", time_json(s.last_whole_pass)},
                           {"lastGoodPass", time_json(s.last_good_pass)},
                           {"nextPass", time_json(s.next_pass)},
                           {"tokens", to_array(s.tokens)},
                           {"connections", to_array(s.connections)},
                           {"conditions", to_array(s.conditions)}};
    return json::serialize(out);
}

result<status> parse_status(std::string_view document) {
    boost::system::error_code failed;
    const auto parsed = json::parse(document, failed);
    if (failed || !parsed.is_object())
        return not_a_status("it is not a JSON object");
    try {
        return read_status(parsed.get_object());
    } catch (const wrong_member& e) {
        return not_a_status(e.what());
    }
}

} // namespace postern::run
