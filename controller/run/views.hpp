#pragma once

#include "domain/desired.hpp"
#include "domain/observed.hpp"
#include "provider/infisical.hpp"
#include "run/key_ring.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

// From what the vault and Heroku answered to what the core judges: secrets become fingerprints, and go to the key ring
// where they are credentials. No I/O.
namespace postern::run {

using vault_entries = std::vector<provider::infisical::entry>;
using config_vars = std::map<std::string, secret>;

// Takes Postern's own folder apart. The key `postern` that is there but says nothing usable is an error: without the
// fingerprint key nothing can be compared.
result<domain::state_view> view_of_state(const vault_entries& entries, const std::string& vault, key_ring& ring);

// Of several rows of one name, the one that counts: every process picks the same. A record that is further on wins, of
// equals the one whose holder sorts first. Nothing where no row is a record, an error where one must be left alone.
result<std::optional<domain::record>> record_that_counts(const vault_entries& entries, const std::string& token);
// The same for the folder's own key: the smallest id.
std::optional<key_ring::installation> installation_that_counts(const vault_entries& entries);

// The consumers' keys of a folder; other keys are not looked at.
std::map<std::string, domain::vault_value> view_of_folder(const vault_entries& entries,
                                                          const std::set<std::string>& keys, const std::string& vault,
                                                          key_ring& ring);

domain::vault_value view_of_value(const secret& value, const std::string& vault, key_ring& ring);

// One variable with the whole credential, or two that are put together. Half of a pair, or a text that is no
// credential, is a value without a client id.
struct variables {
    std::string combined;
    std::string client_id;
    std::string client_secret;

    // In the order in which a delivery's note keeps them.
    std::vector<std::string> names() const;
    static variables noted(const std::vector<std::string>& names);
    // What a PATCH sets so that they hold the credential; unsets them where there is none.
    std::map<std::string, std::optional<secret>> set_to(const secret* credential) const;
};
domain::app_value view_of_app(const config_vars& vars, const variables& which, const std::string& vault,
                              key_ring& ring);

} // namespace postern::run
