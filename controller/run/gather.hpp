#pragma once

#include "domain/desired.hpp"
#include "domain/observed.hpp"
#include "run/clients.hpp"
#include "run/key_ring.hpp"
#include "run/sources.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>

// Reads the world once, as far as the documents and the records concern it. What cannot be reached is a failure of that
// account, vault, folder or app and stops nothing else.
//
// A steady pass costs: the pages of each account's tokens, applications and reusable policies; one list per vault
// folder; one GET per Heroku app; and at most a login, a look-up of a slug, the organisation's settings and the groups.
namespace postern::run {

inline constexpr std::size_t readings_at_once = 8;

// All outlive whoever holds this.
struct surroundings {
    const domain::desired& wanted;
    clients& remotes;
    key_ring& ring;
    const reach& process;
    net::clock& clock;
};

class gatherer {
public:
    explicit gatherer(surroundings around) : around_(around) {}

    // `before` brings what the process knows of itself: proofs, troubles, unsent nonces, its name. This object outlives
    // the call.
    boost::asio::awaitable<domain::observed> gather(domain::observed before);

private:
    using step = boost::asio::awaitable<void>;

    step read_vaults();
    step read_vault(const domain::infisical_vault* vault);
    step list(provider::infisical* client, std::string vault, std::string path);
    step look_at_folder(provider::infisical* client, std::string vault, std::string path);
    void observe_state(const domain::infisical_vault& vault);
    void observe_folders(const domain::infisical_vault& vault);
    static void fail_as_one(domain::reading<domain::vault_view>& reading);
    std::set<std::string> folders_of_records(const domain::infisical_vault& vault) const;

    step read_account(const domain::cloudflare_account* account);
    step read_heroku();

    surroundings around_;
    folder_lists lists_;
    std::map<std::pair<std::string, std::string>, result<bool>> exist_; // folders whose list came back empty
    domain::observed world_;
};

// What a process knows of itself before it has read anything.
domain::observed new_process();

} // namespace postern::run
