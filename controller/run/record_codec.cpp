#include "run/record_codec.hpp"

#include "net/json.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <utility>

namespace postern::run {

namespace json = boost::json;
using domain::credential;
using domain::delivery_note;
using domain::intent;
using domain::policy_note;
using domain::record;
using domain::rotation_request;
using domain::strategy;

namespace {

template<class Texts>
json::array texts(const Texts& from) {
    json::array out;
    for (const auto& text : from)
        out.emplace_back(text);
    return out;
}

json::object to_json(const credential& c) {
    json::object out{
        {"nonce", c.nonce}, {"tokenId", c.token_id}, {"clientId", c.client_id}, {"fingerprint", c.fingerprint}};
    if (c.made)
        out["made"] = format_instant(*c.made);
    return out;
}

// As the documents write it.
std::string_view word_for(strategy how) {
    return how == strategy::in_place ? "InPlace" : how == strategy::renew ? "Renew" : "Replace";
}

json::object to_json(const rotation_request& r) {
    json::object out{{"at", format_instant(r.at)}, {"reason", r.reason}, {"by", r.by}, {"done", r.done}};
    if (r.how)
        out["strategy"] = word_for(*r.how);
    return out;
}

json::object to_json(const intent& i) {
    return {{"nonce", i.nonce},
            {"reason", i.reason},
            {"holder", i.holder},
            {"started", format_instant(i.started)},
            {"deadline", format_instant(i.deadline)},
            {"strategy", word_for(i.how)}};
}

json::object to_json(const policy_note& p) {
    return {{"binding", p.binding},
            {"application", p.application},
            {"policy", p.policy},
            {"put", texts(p.put)},
            {"proved", p.proved}};
}

json::object to_json(const delivery_note& d) {
    return {{"account", d.account}, {"app", d.app},           {"vars", texts(d.vars)},
            {"before", d.before},   {"intended", d.intended}, {"delivered", d.delivered}};
}

// Reads fields out of an object and remembers the first that is of another type than it should be. A field that is
// absent or null leaves what it would set as it is.
class reader {
public:
    reader(const json::object& from, std::string where, std::string& wrong)
        : from_(from), where_(std::move(where)), wrong_(wrong) {}

    void text(const char* key, std::string& into) {
        if (const auto* v = field(key, json::kind::string))
            into = json::value_to<std::string>(*v);
    }

    void number(const char* key, int& into) {
        if (const auto* v = field(key, json::kind::int64))
            into = v->to_number<int>();
    }

    void flag(const char* key, bool& into) {
        if (const auto* v = field(key, json::kind::bool_))
            into = v->get_bool();
    }

    void how(const char* key, std::optional<strategy>& into) {
        std::string word;
        text(key, word);
        for (auto known : {strategy::replace, strategy::in_place, strategy::renew}) {
            if (word == word_for(known))
                into = known;
        }
        if (!word.empty() && !into)
            fail(key, "is none of Replace, InPlace and Renew");
    }

    void time(const char* key, std::optional<instant>& into) {
        instant at{};
        time(key, at);
        if (at != instant{})
            into = at;
    }

    void time(const char* key, instant& into) {
        std::string said;
        text(key, said);
        if (said.empty())
            return;
        if (auto at = parse_instant(said))
            into = *at;
        else
            fail(key, "is not a time");
    }

    template<class Insert>
    void each_text(const char* key, Insert insert) {
        const auto* v = field(key, json::kind::array);
        if (v == nullptr)
            return;
        for (const auto& item : v->get_array()) {
            if (item.is_string())
                insert(json::value_to<std::string>(item));
            else
                fail(key, "holds something that is not a text");
        }
    }

    template<class Insert>
    void each(const char* key, Insert insert) {
        const auto* v = field(key, json::kind::array);
        if (v == nullptr)
            return;
        for (const auto& item : v->get_array()) {
            if (item.is_object())
                insert(reader{item.get_object(), where_ + key + ".", wrong_});
            else
                fail(key, "holds something that is not an object");
        }
    }

    std::optional<reader> object(const char* key) {
        const auto* v = field(key, json::kind::object);
        return v != nullptr ? std::optional<reader>{std::in_place, v->get_object(), where_ + key + ".", wrong_}
                            : std::nullopt;
    }

    void fail(std::string_view key, std::string_view why) {
        if (wrong_.empty())
            wrong_ = where_ + std::string{key} + " " + std::string{why};
    }

private:
    const json::value* field(const char* key, json::kind kind) {
        const auto* v = from_.if_contains(key);
        if (v == nullptr || v->is_null())
            return nullptr;
        if (v->kind() == kind)
            return v;
        fail(key, std::string{"is not of type "} + std::string{json::to_string(kind)});
        return nullptr;
    }

    const json::object& from_;
    std::string where_;
    std::string& wrong_;
};

credential read_credential(reader from) {
    credential c;
    from.text("nonce", c.nonce);
    from.text("tokenId", c.token_id);
    from.text("clientId", c.client_id);
    from.text("fingerprint", c.fingerprint);
    from.time("made", c.made);
    return c;
}

intent read_intent(reader from) {
    intent i;
    from.text("nonce", i.nonce);
    from.text("reason", i.reason);
    from.text("holder", i.holder);
    from.time("started", i.started);
    from.time("deadline", i.deadline);
    std::optional<strategy> how;
    from.how("strategy", how);
    i.how = how.value_or(strategy::replace);
    return i;
}

rotation_request read_request(reader from) {
    rotation_request r;
    from.time("at", r.at);
    from.text("reason", r.reason);
    from.how("strategy", r.how);
    from.text("by", r.by);
    from.flag("done", r.done);
    return r;
}

policy_note read_policy(reader from) {
    policy_note p;
    from.text("binding", p.binding);
    from.text("application", p.application);
    from.text("policy", p.policy);
    from.each_text("put", [&](std::string id) { p.put.push_back(std::move(id)); });
    from.text("proved", p.proved);
    return p;
}

delivery_note read_delivery(reader from) {
    delivery_note d;
    from.text("account", d.account);
    from.text("app", d.app);
    from.each_text("vars", [&](std::string name) { d.vars.push_back(std::move(name)); });
    from.number("before", d.before);
    from.text("intended", d.intended);
    from.text("delivered", d.delivered);
    return d;
}

void read_deletion(reader& from, record& r) {
    std::string word;
    from.text("deletionPolicy", word);
    if (word == "Delete")
        r.deletion = domain::deletion_policy::delete_;
    else if (!word.empty() && word != "Retain")
        from.fail("deletionPolicy", "is neither Retain nor Delete");
}

record read_record(reader from) {
    record r;
    from.text("installation", r.installation);
    from.text("holder", r.holder);
    from.number("epoch", r.epoch);
    from.text("source", r.source);
    read_deletion(from, r);
    from.text("account", r.account);
    from.text("path", r.path);
    from.text("key", r.key);
    if (auto inner = from.object("current"))
        r.current = read_credential(*inner);
    if (auto inner = from.object("previous"))
        r.previous = read_credential(*inner);
    from.time("previousUntil", r.previous_until);
    from.time("cutOff", r.cut_off);
    from.each("lingering", [&](reader item) { r.lingering.push_back(read_credential(std::move(item))); });
    if (auto inner = from.object("pending"))
        r.pending = read_intent(*inner);
    if (auto inner = from.object("request"))
        r.request = read_request(*inner);
    from.text("reason", r.reason);
    from.each("policies", [&](reader item) { r.policies.push_back(read_policy(std::move(item))); });
    from.each("deliveries", [&](reader item) { r.deliveries.push_back(read_delivery(std::move(item))); });
    std::sort(r.deliveries.begin(), r.deliveries.end(), domain::delivery_note::in_order);
    from.each_text("authorizations", [&](std::string words) { r.authorizations.insert(std::move(words)); });
    from.text("promoted", r.promoted);
    from.text("confirmed", r.confirmed);
    return r;
}

error unreadable(std::string_view what) {
    return {error_kind::refused, "vault record", std::string{what}, 0, {}, {}};
}

// Not what Postern writes: there is nothing in it to lose.
error clobbered(std::string_view what) {
    auto out = unreadable(what);
    out.code = clobbered_code;
    return out;
}

// Nothing where the version is one that this program writes.
std::optional<error> check_version(const json::object& top) {
    const auto* v = top.if_contains("v");
    if (v == nullptr || !v->is_int64())
        return clobbered("it has no format version `v`");
    if (v->get_int64() != record::format)
        return unreadable("its format version is " + std::to_string(v->get_int64()) + ", this program knows " +
                          std::to_string(record::format));
    return std::nullopt;
}

} // namespace

std::string to_text(const record& r) {
    json::object out{{"v", r.v},
                     {"installation", r.installation},
                     {"holder", r.holder},
                     {"epoch", r.epoch},
                     {"source", r.source},
                     {"deletionPolicy", r.deletion == domain::deletion_policy::delete_ ? "Delete" : "Retain"},
                     {"account", r.account},
                     {"path", r.path},
                     {"key", r.key}};
    if (r.current)
        out["current"] = to_json(*r.current);
    if (r.previous)
        out["previous"] = to_json(*r.previous);
    if (r.previous_until)
        out["previousUntil"] = format_instant(*r.previous_until);
    if (r.cut_off)
        out["cutOff"] = format_instant(*r.cut_off);
    if (!r.lingering.empty()) {
        json::array lingering;
        for (const auto& c : r.lingering)
            lingering.emplace_back(to_json(c));
        out["lingering"] = std::move(lingering);
    }
    if (r.pending)
        out["pending"] = to_json(*r.pending);
    if (r.request)
        out["request"] = to_json(*r.request);
    out["reason"] = r.reason;
    json::array policies;
    for (const auto& note : r.policies)
        policies.emplace_back(to_json(note));
    out["policies"] = std::move(policies);
    json::array deliveries;
    for (const auto& note : r.deliveries)
        deliveries.emplace_back(to_json(note));
    out["deliveries"] = std::move(deliveries);
    out["authorizations"] = texts(r.authorizations);
    out["promoted"] = r.promoted;
    out["confirmed"] = r.confirmed;
    return json::serialize(out);
}

result<record> record_from(std::string_view text) {
    boost::system::error_code failed;
    auto parsed = json::parse(text, failed);
    if (failed || !parsed.is_object())
        return clobbered("it is not a JSON object");
    if (auto other = check_version(parsed.get_object()))
        return *other;
    std::string wrong;
    try {
        auto r = read_record(reader{parsed.get_object(), "", wrong});
        if (wrong.empty())
            return r;
    } catch (const std::exception&) {
        wrong = "a number is out of range";
    }
    return clobbered(wrong);
}

secret to_text(const key_ring::installation& i) {
    std::string text = R"({"v":1,"installation":")" + i.id + R"(","fingerprintKey":")";
    text.append(i.fingerprint_key.reveal()).append("\"}");
    return secret::consume(text);
}

result<key_ring::installation> installation_from(const secret& text) {
    auto parsed = net::json::parse(text);
    if (parsed.has_error() || !parsed.value().is_object())
        return unreadable("it is not a JSON object");
    if (auto other = check_version(parsed.value().get_object()))
        return *other;
    key_ring::installation out;
    out.id = net::json::text(parsed.value(), "installation");
    if (auto key = net::json::secret_text(parsed.value(), "fingerprintKey"))
        out.fingerprint_key = std::move(*key);
    if (out.id.empty() || out.fingerprint_key.empty())
        return unreadable("it lacks the installation's id or its fingerprint key");
    return out;
}

} // namespace postern::run
