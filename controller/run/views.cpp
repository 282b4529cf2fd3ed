#include "run/views.hpp"

#include "run/record_codec.hpp"

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

domain::vault_value view_of_rows(const rows& of, const std::string& vault, key_ring& ring) {
    domain::vault_value view;
    if (of.front()->hidden)
        view.hidden = true;
    else
        view = view_of_value(of.front()->value, vault, ring);
    view.duplicated = of.size() > 1;
    return view;
}

error unusable(const std::string& vault, std::string_view why) {
    return {error_kind::refused, "vault " + vault + " key " + std::string{own_key}, std::string{why}, 0, {}, {}};
}

result<void> read_own_key(const rows& of, const std::string& vault, key_ring& ring) {
    if (of.front()->hidden)
        return unusable(vault, "the identity may see that it exists, but not read it");
    for (const auto* row : of) {
        if (!same(row->value, of.front()->value))
            return unusable(vault, "it stands there more than once, with different values: one has to go");
    }
    auto own = installation_from(of.front()->value);
    if (own.has_error())
        return unusable(vault, own.error().what);
    ring.found(vault, std::move(own.value()));
    return boost::system::in_place_value;
}

void read_record(const std::string& token, const rows& of, domain::state_view& into) {
    if (of.front()->hidden) {
        into.unreadable[token] = "the identity may see that it exists, but not read it";
        return;
    }
    auto r = record_from(of.front()->value.reveal());
    for (const auto* row : of) {
        if (!same(row->value, of.front()->value))
            r = error{error_kind::refused, {}, "it stands there more than once, with different contents", 0, {}, {}};
    }
    if (r.has_value())
        into.records.emplace(token, std::move(r.value()));
    else if (r.error().code == clobbered_code)
        into.clobbered.insert(token);
    else
        into.unreadable[token] = r.error().what;
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
        if (auto read = read_own_key(own->second, vault, ring); read.has_error())
            return read.error();
        view.initialised = true;
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
