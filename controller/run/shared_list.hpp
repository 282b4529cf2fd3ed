#pragma once

#include "net/clock.hpp"
#include "provider/infisical.hpp"
#include "run/doorbell.hpp"
#include "run/views.hpp"

#include <boost/asio/awaitable.hpp>

#include <list>
#include <map>
#include <string>
#include <utility>

// Lists a vault folder for all who want to see a name in it at about the same time. A list brings the whole folder,
// and there is no narrower request that shows a name that stands twice: asked for each new record by itself, a thousand
// records would be read a thousand times. One list is under way per folder, and after it the folder rests for a while.
// For one thread.
namespace postern::run {

class shared_list {
public:
    explicit shared_list(net::clock& clock) : clock_(clock) {}

    // The rows of one name, from a request that was sent after this call. This object and `vault` outlive it.
    boost::asio::awaitable<result<vault_entries>> rows(provider::infisical* vault, std::string path, std::string key);

private:
    struct waiter {
        doorbell bell; // rung when the rows are there, or when it is this one's turn to ask
        std::string key;
        result<vault_entries> rows = vault_entries{};
        bool served = false;
    };
    struct folder {
        std::list<waiter*> waiting; // for a list that has not gone out
        bool under_way = false;
        instant again{};
    };
    class turn;

    boost::asio::awaitable<void> ask(provider::infisical* vault, std::string path, folder* of);

    net::clock& clock_;
    std::map<std::pair<provider::infisical*, std::string>, folder> folders_;
};

} // namespace postern::run
