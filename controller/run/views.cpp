#include "run/views.hpp"

#include "run/record_codec.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace postern::run {

namespace {

// Rows by key: a vault can hold one name several times.
std::map<std::string, std::vector<const provider::infisical::entry*>> by_key(const vault_entries& entries) {
    std::map<std::string, std::vector<const provider::infisical::entry*>> out;
    for (const auto& entry : entries)
        out[entry.key].push_back(&entry);
    return out;
}

using rows = std::vector<const provider::infisical::entry*>;

bool all_same(const rows& of) {
    return std::all_of(of.begin(), of.end(), [&](const auto* row) { return same(row->value, of.front()->value); });
}

domain::vault_value view_of_rows(const rows& of, const std::string& vault, key_ring& ring) {
    domain::vault_value view;
    if (of.front()->hidden)
        view.hidden = true;
    else
        view = view_of_value(of.front()->value, vault, ring);
    view.duplicated = !all_same(of);
    return view;
}

error unusable(const std::string& vault, std::string_view why) {
    return {error_kind::refused, "vault " + vault + " key " + std::string{own_key}, std::string{why}, 0, {}, {}};
}

error hidden_row() {
    return {error_kind::refused, {}, "the identity may see that it exists, but not read it", 0, {}, {}};
}

result<std::optional<key_ring::installation>> counting_installation(const rows& of) {
    std::optional<key_ring::installation> first;
    std::optional<error> broken;
    for (const auto* row : of) {
        if (row->hidden)
            return hidden_row();
        auto own = installation_from(row->value);
        if (own.has_error())
            broken = own.error();
        else if (!first || own.value().id < first->id)
            first = std::move(own.value());
    }
    if (!first && broken)
        return *broken;
    return first;
}

// Whether the folder is initialised: where processes wrote its own key at the same instant, it is not yet.
result<bool> read_own_key(const rows& of, const std::string& vault, key_ring& ring) {
    auto own = counting_installation(of);
    if (own.has_error())
        return unusable(vault, own.error().what);
    ring.found(vault, std::move(*own.value()));
    return all_same(of);
}

bool counts_before(const domain::record& a, const domain::record& b) {
    auto rank = [](const domain::record& r) {
        return std::tuple(!r.current.has_value(), -r.epoch, r.pending ? r.pending->holder : r.holder, to_text(r));
    };
    return rank(a) < rank(b);
}

result<std::optional<domain::record>> counting_record(const rows& of) {
    std::optional<domain::record> best;
    for (const auto* row : of) {
        if (row->hidden)
            return hidden_row();
        auto r = record_from(row->value.reveal());
        if (r.has_error() && r.error().code != clobbered_code)
            return r.error();
        if (r.has_value() && (!best || counts_before(r.value(), *best)))
            best = std::move(r.value());
    }
    return best;
}

void read_record(const std::string& token, const rows& of, domain::state_view& into) {
    auto counting = counting_record(of);
    if (counting.has_error()) {
        into.unreadable[token] = counting.error().what;
        return;
    }
    if (!all_same(of))
        into.doubled.insert(token);
    if (counting.value())
        into.records.emplace(token, std::move(*counting.value()));
    else
        into.clobbered.insert(token);
}

rows rows_of(const vault_entries& entries, std::string_view key) {
    rows out;
    for (const auto& entry : entries) {
        if (entry.key == key)
            out.push_back(&entry);
    }
    return out;
}

} // namespace

domain::vault_value view_of_value(const secret& value, const std::string& vault, key_ring& ring) {
    domain::vault_value view;
    view.client_id = client_id_of(value);
    view.fingerprint = view.client_id.empty() ? ring.fingerprint(vault, value) : ring.keep(vault, value.copy());
    return view;
}

result<domain::state_view> view_of_state(const vault_entries& entries, const std::string& vault, key_ring& ring) {
    domain::state_view view;
    auto keys = by_key(entries);
    if (auto own = keys.find(std::string{own_key}); own != keys.end()) {
        auto read = read_own_key(own->second, vault, ring);
        if (read.has_error())
            return read.error();
        view.initialised = read.value();
        keys.erase(own);
    }
    view.installation = ring.of(vault).id;
    for (const auto& [key, of] : keys) {
        // A token's name is a DNS label: it has no dot.
        auto dot = key.find('.');
        if (dot == std::string::npos)
            read_record(key, of, view);
        else
            view.held[key.substr(0, dot)][key.substr(dot + 1)] = view_of_rows(of, vault, ring);
    }
    return view;
}

result<std::optional<domain::record>> record_that_counts(const vault_entries& entries, const std::string& token) {
    return counting_record(rows_of(entries, token));
}

std::optional<key_ring::installation> installation_that_counts(const vault_entries& entries) {
    auto own = counting_installation(rows_of(entries, own_key));
    return own.has_value() ? std::move(own.value()) : std::nullopt;
}

std::map<std::string, domain::vault_value> view_of_folder(const vault_entries& entries,
                                                          const std::set<std::string>& keys, const std::string& vault,
                                                          key_ring& ring) {
    std::map<std::string, domain::vault_value> out;
    for (const auto& [key, of] : by_key(entries)) {
        if (keys.contains(key))
            out[key] = view_of_rows(of, vault, ring);
    }
    return out;
}

std::vector<std::string> variables::names() const {
    return combined.empty() ? std::vector<std::string>{client_id, client_secret} : std::vector<std::string>{combined};
}

variables variables::noted(const std::vector<std::string>& names) {
    if (names.size() == 2)
        return {{}, names[0], names[1]};
    return {names.empty() ? std::string{} : names.front(), {}, {}};
}

std::map<std::string, std::optional<secret>> variables::set_to(const secret* credential) const {
    std::map<std::string, std::optional<secret>> out;
    if (credential == nullptr) {
        for (const auto& name : names())
            out[name];
    } else if (!combined.empty()) {
        out[combined] = credential->copy();
    } else {
        auto text = credential->reveal();
        auto colon = text.find(':');
        out[client_id] = secret{text.substr(0, colon)};
        out[client_secret] = secret{colon == text.npos ? std::string_view{} : text.substr(colon + 1)};
    }
    return out;
}

domain::app_value view_of_app(const config_vars& vars, const variables& which, const std::string& vault,
                              key_ring& ring) {
    auto find = [&](const std::string& name) {
        auto at = vars.find(name);
        return at == vars.end() ? nullptr : &at->second;
    };
    domain::app_value view;
    const secret* first = find(which.combined.empty() ? which.client_id : which.combined);
    const secret* second = which.combined.empty() ? find(which.client_secret) : nullptr;
    if (first == nullptr && second == nullptr)
        return view;
    const secret nothing;
    auto value = which.combined.empty() ? credential_text((first != nullptr ? *first : nothing).reveal(),
                                                          second != nullptr ? *second : nothing)
                                        : first->copy();
    auto seen = view_of_value(value, vault, ring);
    view.absent = false;
    view.fingerprint = seen.fingerprint;
    view.client_id = seen.client_id;
    return view;
}

} // namespace postern::run
