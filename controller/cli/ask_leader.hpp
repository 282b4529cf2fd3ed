#pragma once

#include "cli/options.hpp"
#include "domain/desired.hpp"
#include "run/store.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <optional>

// Where a controller leads, `rotate` does not do the work beside it: the request is noted in the token's record, the
// controller is woken, and the command waits for what comes of it.
namespace postern::cli {

// A lease's row, and whether its holder renewed it while somebody looked on.
struct seen_lease {
    run::lease_row row;
    bool beats = false;
};

// Looks on for so long at most; at once where nobody holds it. `memory` outlives it.
boost::asio::awaitable<result<seen_lease>> look_for_beat(run::store* memory, duration patience);

struct leader {
    std::unique_ptr<run::store> memory;
    run::lease_row row;
};

// Whoever holds the lease of the store that the options name, and renews it while this looks on: for half of the
// lease's time. Nothing: nobody does, or there is no store; an error where a store is named and cannot be asked.
result<std::optional<leader>> find_leader(const options& asked);

// The exit code. `asked` holds the one request. Where the controller saw after it that a person is needed, it is 3 at
// once, as it is where the command does the work itself.
int ask_leader(const options& asked, const domain::desired& wanted, leader to);

} // namespace postern::cli
