#pragma once

#include "cli/options.hpp"
#include "cli/process.hpp"
#include "net/clock.hpp"
#include "net/https_transport.hpp"
#include "net/stop.hpp"
#include "net/transport.hpp"
#include "run/clients.hpp"
#include "run/gather.hpp"
#include "run/key_ring.hpp"
#include "run/log.hpp"
#include "run/pass.hpp"
#include "run/plan.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>

// Everything that a verb which looks at the world needs, put together from the options: one thread, one way out, one
// process's memory.
namespace postern::cli {

class session {
public:
    session(const options& asked, const domain::desired& wanted);
    ~session();
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    // Why the options cannot be used; nothing where they can.
    std::optional<error> unusable() const;

    run::plan make_plan(run::progress& watcher, std::function<void()> tick);
    run::pass_report make_pass(run::progress& watcher, std::function<void()> tick);

    // Nothing is done for so long; a signal ends it.
    void rest(duration d);

    // As the last pass saw it.
    const domain::observed& world() const { return world_; }
    net::clock& clock() { return clock_; }
    run::log& diagnostics() { return log_; }

private:
    run::pass_settings settings() const;
    run::surroundings around();
    // Runs the job to its end. The first signal asks it to stop, the second ends the process. `tick` is called about
    // once a second.
    template<class T>
    T finish(boost::asio::awaitable<T> job, std::function<void()> tick);

    const options& asked_;
    const domain::desired& wanted_;
    net::stop halt_; // outlives what waits in io_
    boost::asio::io_context io_{1};
    net::system_clock clock_;
    run::log log_;
    run::reach reach_;
    std::unique_ptr<net::transport> wire_;
    run::key_ring ring_;
    run::clients remotes_;
    run::gatherer reader_;
    domain::observed world_ = run::new_process();
};

} // namespace postern::cli
