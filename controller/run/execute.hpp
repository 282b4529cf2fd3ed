#pragma once

#include "domain/step.hpp"
#include "net/stop.hpp"
#include "run/gather.hpp"
#include "run/shared_list.hpp"
#include "run/views.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

// Turns one step into calls, and says what came of it. Whatever is overwritten is read again right before, and what
// must not be lost is read back right after; a world that moved in between is a `conflict`, a lost reply `ambiguous`,
// and both mean: gather again. Several steps may be executed at once.
namespace postern::run {

using release_finder = std::function<const domain::release_view*(const std::vector<domain::release_view>&)>;

class executor {
public:
    // `world` is where the step was decided: its unsent nonces are taken from it as they are sent, and it may be
    // replaced by a newer one in place. All outlive this object.
    executor(surroundings around, domain::observed& world, net::stop& halt)
        : around_(around), world_(world), halt_(halt), lists_(around.clock) {}

    // No release is waited for any longer than this.
    void give_up_at(instant until) { give_up_ = until; }

    // How many steps send nothing for the moment: they let the time pass in which another process could have written
    // the same name, or wait for a list that others wait for, too. `on_rest` is called as one more begins to.
    std::size_t resting() const { return resting_; }
    std::function<void()> on_rest;

    // This object outlives the call. `cancelled`: somebody asked to stop before it was known how the step ends.
    boost::asio::awaitable<domain::outcome> execute(domain::step s);

private:
    using task = boost::asio::awaitable<domain::outcome>;

    task take(domain::steps::initialise s);
    task take(domain::steps::write_record s);
    task take(domain::steps::hold s);
    task take(domain::steps::write_credential s);
    task take(domain::steps::delete_key s);

    task take(domain::steps::mint s);
    task take(domain::steps::rotate s);
    task take(domain::steps::create_policy s);
    task take(domain::steps::edit_policy s);
    task take(domain::steps::delete_policy s);
    task take(domain::steps::update_token s);
    task take(domain::steps::delete_token s);
    task take(domain::steps::look_token s);

    task take(domain::steps::look_releases s);
    task take(domain::steps::deliver s);
    task take(domain::steps::await_release s);

    task take(domain::steps::prove s);
    task take(domain::steps::try_retired s);

    template<class Send>
    task make_credential(std::string token, std::string nonce, instant deadline, Send send);
    task create_record(provider::infisical* vault, domain::steps::write_record s, secret value);
    task update_record(provider::infisical* vault, domain::steps::write_record s, secret value);
    boost::asio::awaitable<result<void>> replace_twins(provider::infisical* vault, domain::steps::write_credential s,
                                                       secret value);
    class rest;
    boost::asio::awaitable<void> let_pass(duration d);
    // The rows of one name, and the same after a while.
    boost::asio::awaitable<result<vault_entries>> rows_of(provider::infisical* vault, std::string path,
                                                          std::string key);
    boost::asio::awaitable<result<vault_entries>> settled_rows(provider::infisical* vault, std::string path,
                                                               std::string key, duration wait);
    boost::asio::awaitable<result<provider::infisical::written>> make_only_row(provider::infisical* vault,
                                                                               std::string path, std::string key,
                                                                               secret value, std::string comment,
                                                                               instant seen);
    // Reads the key again; an error unless it is there and holds `value`.
    boost::asio::awaitable<result<void>> read_back(provider::infisical* vault, std::string where, std::string path,
                                                   std::string key, secret value);
    // The app's newest releases, once `running` finds none among them that is waited for.
    boost::asio::awaitable<result<std::vector<domain::release_view>>>
    await_releases(provider::heroku* client, std::string app, release_finder running);
    task value_now(provider::heroku* client, std::string app, variables which, std::string vault);

    // The vault whose key fingerprints what the binding delivers, or what left_name() stands for.
    std::string vault_of(const std::string& binding) const;
    variables variables_of(const std::string& binding) const;

    surroundings around_;
    domain::observed& world_;
    net::stop& halt_;
    shared_list lists_;
    std::size_t resting_ = 0;
    instant give_up_ = instant::max();
};

// How urgent the requests of a step are: what puts right what somebody else changed, clears away or merely looks stands
// back behind a credential's way to where it is used.
net::urgency lane_of(const domain::step& s);

// Shared by the parts of the executor.
domain::outcome failed(error why);
domain::outcome unapproved();
bool awaits_approval(const result<provider::infisical::written>& came);
error lacks_client(const std::string& resource);
error lacks_secret(const std::string& where, const std::string& fingerprint);
error moved(const std::string& where, std::string what);

} // namespace postern::run
