#pragma once

#include "model/process.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

// States by name: an injective text of everything that can influence what happens next, and 128 bits of it. Points in
// time are written as distances from now, so that two histories of different length that left the same world behind are
// one state. Every struct is taken apart by structured bindings: a field that is new in the core does not compile here
// until the model knows it.
namespace postern::model {

using digest = std::array<std::uint64_t, 2>;

struct digest_hash {
    std::size_t operator()(const digest& d) const { return static_cast<std::size_t>(d[0]); }
};

digest digest_of(const std::string& text);

class writer {
public:
    explicit writer(instant now) : now_(now) {}

    const std::string& text() const { return text_; }

    template<class... All>
    void put(const All&... all) {
        (one(all), ...);
    }

private:
    void raw(const void* bytes, std::size_t size) { text_.append(static_cast<const char*>(bytes), size); }

    template<class T>
        requires(std::is_arithmetic_v<T> || std::is_enum_v<T>)
    void one(const T& x) {
        raw(&x, sizeof x);
    }
    void one(const std::string& x) {
        auto size = static_cast<std::uint16_t>(x.size());
        raw(&size, sizeof size);
        text_ += x;
    }
    void one(const duration& x) { one(x.count()); }
    void one(const instant& x) {
        one(x == instant::max() ? instant::max().time_since_epoch().count() : (x - now_).count());
    }
    template<class T>
    void one(const std::optional<T>& x) {
        one(x.has_value());
        if (x)
            one(*x);
    }
    template<class A, class B>
    void one(const std::pair<A, B>& x) {
        put(x.first, x.second);
    }
    template<class T>
    void many(const T& x) {
        one(static_cast<std::uint16_t>(x.size()));
        for (const auto& each : x)
            one(each);
    }
    template<class T>
    void one(const std::vector<T>& x) {
        many(x);
    }
    template<class T>
    void one(const std::set<T>& x) {
        many(x);
    }
    template<class K, class V>
    void one(const std::map<K, V>& x) {
        many(x);
    }
    template<class T>
    void one(const reading<T>& x) {
        put(x.seen, x.failure);
    }
    void one(const error& x) { put(x.kind, x.code, x.retry_after); }

    // What the core knows.
    void one(const credential& x) {
        const auto& [a, b, c, d, e] = x;
        put(a, b, c, d, e);
    }
    void one(const intent& x) {
        const auto& [a, b, c, d, e, f] = x;
        put(a, b, c, d, e, f);
    }
    void one(const rotation_request& x) {
        const auto& [a, b, c, d, e] = x;
        put(a, b, c, d, e);
    }
    void one(const policy_note& x) {
        const auto& [a, b, c, d, e] = x;
        put(a, b, c, d, e);
    }
    void one(const delivery_note& x) {
        const auto& [a, b, c, d, e, f] = x;
        put(a, b, c, d, e, f);
    }
    void one(const record& x) {
        const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v] = x;
        put(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v);
    }
    void one(const live_token& x) {
        const auto& [a, b, c, d, e, f, g, h] = x;
        put(a, b, c, d, e, f, g, h);
    }
    void one(const rule& x) {
        const auto& [a, b, c] = x;
        put(a, b, c);
    }
    void one(const rules& x) { put(x.include, x.exclude, x.require); }
    void one(const live_policy& x) {
        one(static_cast<const rules&>(x));
        put(x.id, x.name, x.decides, x.precedence, x.reusable, x.created_at, x.version, x.users_elsewhere);
    }
    void one(const live_application& x) {
        const auto& [a, b, c, d, e, f, g] = x;
        put(a, b, c, d, e, f, g);
    }
    void one(const live_group& x) {
        one(static_cast<const rules&>(x));
        put(x.id, x.name);
    }
    void one(const account_view& x) {
        const auto& [a, b, c, d, e, f, g, h] = x;
        put(a, b, c, d, e, f, g, h);
    }
    void one(const vault_value& x) {
        const auto& [a, b, c, d] = x;
        put(a, b, c, d);
    }
    void one(const folder_view& x) {
        const auto& [a, b] = x;
        put(a, b);
    }
    void one(const state_view& x) {
        const auto& [a, b, c, d, e, f, g] = x;
        put(a, b, c, d, e, f, g);
    }
    void one(const vault_view& x) {
        const auto& [a, b] = x;
        put(a, b);
    }
    void one(const app_value& x) {
        const auto& [a, b, c] = x;
        put(a, b, c);
    }
    void one(const release_view& x) {
        const auto& [a, b, c] = x;
        put(a, b, c);
    }
    void one(const app_view& x) {
        const auto& [a, b, c] = x;
        put(a, b, c);
    }
    void one(const heroku_view& x) {
        const auto& [a] = x;
        put(a);
    }
    void one(const proof_key& x) {
        const auto& [a, b, c] = x;
        put(a, b, c);
    }
    void one(const proof& x) {
        const auto& [a, b, c, d, e] = x;
        put(a, b, c, d, e);
    }
    void one(const trouble& x) {
        const auto& [a, b, c] = x;
        put(a, b, c);
    }
    void one(const observed& x) {
        const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = x;
        put(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
    }

    // What the model knows.
    void one(const token& x) {
        const auto& [a, b, c, d, e, f] = x;
        put(a, b, c, d, e, f);
    }
    void one(const guarded& x) {
        const auto& [a, b, c, d] = x;
        put(a, b, c, d);
    }
    void one(const running_app& x) {
        const auto& [a, b, c] = x;
        put(a, b, c);
    }
    void one(const remotes& x) {
        const auto& [a, b, c, d, e, f, g, h, i, j, k, l] = x;
        put(a, b, c, d, e, f, g, h, i, j, k, l);
    }
    void one(const process& x) {
        const auto& [a, b, c, d, e] = x;
        put(a, b, c, d, e);
    }
    void one(const request& x) {
        put(x.what.index(), x.put, x.installation);
        std::visit([this](const auto& s) { written(s); }, x.what);
    }
    void written(const steps::initialise&) {}
    void written(const steps::write_record& s) { put(s.token, s.value, s.exists); }
    void written(const steps::mint& s) { put(s.token, s.nonce, s.name, s.duration); }
    void written(const steps::rotate& s) { put(s.token, s.token_id, s.nonce, s.cut_off); }
    void written(const steps::hold& s) { put(s.token, s.nonce, s.fingerprint); }
    void written(const steps::create_policy& s) { put(s.application, s.name, s.tokens, s.precedence); }
    void written(const steps::edit_policy& s) { put(s.application, s.policy); }
    void written(const steps::delete_policy& s) { put(s.application, s.policy); }
    void written(const steps::write_credential& s) { put(s.path, s.key, s.fingerprint); }
    void written(const steps::update_token& s) {
        put(s.token_id, s.name, s.duration, s.enabled, s.previous_expires_at);
    }
    void written(const steps::delete_token& s) { put(s.token_id); }
    void written(const steps::deliver& s) { put(s.app, s.config_var, s.fingerprint); }
    void written(const steps::delete_key& s) { put(s.path, s.key); }
    template<class Look>
        requires std::is_same_v<Look, steps::prove> || std::is_same_v<Look, steps::try_retired> ||
                 std::is_same_v<Look, steps::look_token> || std::is_same_v<Look, steps::look_releases> ||
                 std::is_same_v<Look, steps::await_release>
    void written(const Look&) {}

    instant now_;
    std::string text_;
};

} // namespace postern::model
