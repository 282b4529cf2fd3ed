#pragma once

#include "base/secret.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

// The secrets that this process knows, by fingerprint, so that a step can name a credential without holding it; and,
// per vault, the installation's id and the key of its fingerprints. Lives in memory alone and wipes itself when it
// goes.
namespace postern::run {

// The text of a credential, "client_id:client_secret", as the vault and the apps hold it.
secret credential_text(std::string_view client_id, const secret& client_secret);

// The client id of a text that is a credential; empty where it is anything else, so that no part of a foreign secret is
// ever taken for an id.
std::string client_id_of(const secret& text);

class key_ring {
public:
    struct installation {
        std::string id;
        secret fingerprint_key;
    };

    // The vault's installation: as found, or until then a random candidate, which is what `initialise` writes.
    const installation& of(const std::string& vault);
    // What the vault's own key says outranks a candidate.
    void found(const std::string& vault, installation is);
    // It is another vault by now: the next candidate is a new one.
    void forget(const std::string& vault) { installations_.erase(vault); }

    std::string fingerprint(const std::string& vault, const secret& value);
    // Remembers the value and returns its fingerprint.
    std::string keep(const std::string& vault, secret value);
    // Wipes every other secret: what is still needed is read again.
    void keep_only(const std::set<std::string>& fingerprints);
    // Nothing: no secret of that fingerprint was seen by this process.
    const secret* find(const std::string& fingerprint) const;

private:
    std::map<std::string, installation> installations_; // by vault
    std::map<std::string, secret> known_;               // by fingerprint
};

} // namespace postern::run
