#include "base/text.hpp"
#include "cli/process.hpp"
#include "cli/secret_flag.hpp"
#include "cli/store_address.hpp"
#include "cli/verbs.hpp"
#include "net/clock.hpp"
#include "net/https_transport.hpp"
#include "net/stop.hpp"
#include "run/clients.hpp"
#include "run/daemon.hpp"
#include "run/endpoint.hpp"
#include "run/key_ring.hpp"
#include "run/metrics.hpp"
#include "run/spec_source.hpp"
#include "run/store.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <csignal>
#include <exception>
#include <iostream>
#include <malloc.h>
#include <memory>
#include <utility>

// The daemon, put together from the options: one thread and one loop, a thread each for the store and for git.
namespace postern::cli {

namespace asio = boost::asio;

namespace {

// A platform that stops us asks twice, or more often, and kills after 30 s at the most; we want to be gone by then.
constexpr auto grace = std::chrono::seconds{9};
// A dyno's successor starts while its predecessor is being stopped: for 30 s, and what it sent may take a while.
constexpr duration after_predecessor = std::chrono::seconds{45};

int refused(const std::string& why) {
    std::cerr << why << '\n';
    return code::error;
}

result<std::unique_ptr<run::spec_source>> documents_of(const options& asked) {
    const auto& how = asked.daemon;
    auto wrong = [](std::string what) { return error{error_kind::spec, "postern run", std::move(what), 0, {}, {}}; };
    if (how.git.url.empty() == asked.specs.empty())
        return wrong(asked.specs.empty() ? "name the documents: SPECS, or --git URL"
                                         : "the documents are either SPECS or --git URL, not both");
    if (how.git.url.empty())
        return run::watch_folders(asked.specs, asked.trust);
    auto git = how.git;
    if (git.mirror.empty())
        git.mirror = "postern-mirror.git";
    git.ca_file = asked.ca_file;
    git.timeout = asked.request_timeout;
    const auto wire = wire_settings(asked);
    git.https_proxy = wire.https_proxy;
    git.no_proxy = wire.no_proxy;
    if (how.git_token || environment("POSTERN_GIT_TOKEN"))
        git.token = [from = how.git_token]() -> result<secret> {
            auto token = read_secret_flag(from, "POSTERN_GIT_TOKEN");
            if (token.has_error())
                return token.error();
            return std::move(*token.value());
        };
    return run::follow_git(std::move(git), asked.trust);
}

run::daemon_settings settings_of(const options& asked, const std::string& store) {
    run::daemon_settings settings;
    auto& how = settings.passes.how;
    how.observe = asked.observe;
    how.prune = true; // what left git is acted on by whoever follows git
    how.max_changes = asked.max_changes;
    how.max_rotations = asked.max_rotations;
    how.request_timeout = asked.request_timeout;
    how.own_apps = own_apps();
    settings.interval = asked.daemon.interval;
    settings.lease = asked.daemon.lease;
    settings.version = POSTERN_VERSION;
    if (environment("DYNO") && store.starts_with("sqlite:"))
        settings.silent_at_first = after_predecessor;
    return settings;
}

} // namespace

int run_daemon(const options& asked) {
    // Until there is a loop to hear them, a hang-up means nothing.
    std::signal(SIGHUP, SIG_IGN);
    auto checked = net::check(wire_settings(asked));
    if (checked.has_error())
        return refused(checked.error().message());
    auto documents = documents_of(asked);
    if (documents.has_error())
        return refused(documents.error().what);
    const auto address = store_address(asked);
    auto memory = run::make_store(address);
    if (memory.has_error())
        return refused(memory.error().message());
    auto listen_token = read_secret_flag(asked.listen_token, "POSTERN_LISTEN_TOKEN");
    if (listen_token.has_error())
        return refused(listen_token.error().message());
    auto hook_secret = read_secret_flag(asked.daemon.hook_secret, "POSTERN_HOOK_SECRET");
    if (hook_secret.has_error())
        return refused(hook_secret.error().message());

    net::stop halt; // outlives what waits in `io`
    asio::io_context io{1};
    net::system_clock clock;
    run::log diagnostics{std::cerr, asked.log_level, format_of(asked), [&] { return format_instant(clock.now()); }};
    const auto reach = run::reach_of_process(asked.trust.secrets_dir);
    const auto wire = net::make_https_transport(io.get_executor(), wire_settings(asked));
    run::metrics numbers;
    run::key_ring ring;
    run::daemon* worker = nullptr;
    run::wiring wiring{*wire, clock, diagnostics, asked.request_timeout, jitter(), asked.connect_to};
    wiring.may_write = [&] { return worker != nullptr && worker->may_write(); };
    wiring.on_response = [&](std::string_view provider, int status) { numbers.count_request(provider, status); };
    wiring.halt = &halt;
    run::clients remotes{std::move(wiring)};
    auto settings = settings_of(asked, address);
    // Between passes nothing is kept that only a pass needs: a connection costs a hundred kilobytes, and by the next
    // pass the remote would have closed it.
    settings.at_rest = [&] {
        wire->close_idle();
        malloc_trim(0);
    };
    run::daemon daemon{
        {*documents.value(), *memory.value(), remotes, ring, reach, clock, diagnostics, numbers, jitter()},
        std::move(settings),
        io.get_executor()};
    worker = &daemon;

    std::unique_ptr<run::endpoint> endpoint;
    if (!asked.daemon.listen.empty()) {
        run::endpoint_settings how{asked.daemon.listen, std::move(listen_token.value()), std::move(hook_secret.value()),
                                   asked.daemon.git.url.empty() ? std::string{} : asked.daemon.git.branch};
        auto opened = run::open_endpoint(
            io.get_executor(), std::move(how), [&] { return daemon.now(); }, numbers,
            [&] { daemon.look_at_documents(); });
        if (opened.has_error())
            return refused(opened.error().message());
        endpoint = std::move(opened.value());
    }

    std::signal(SIGPIPE, SIG_IGN);
    asio::signal_set signals{io, SIGINT, SIGTERM, SIGHUP};
    asio::steady_timer patience{io};
    bool stopping = false;
    bool given_up = false;
    std::function<void(boost::system::error_code, int)> on_signal = [&](boost::system::error_code failed, int number) {
        if (failed)
            return;
        signals.async_wait(on_signal);
        if (number == SIGHUP)
            return daemon.wake("SIGHUP");
        if (stopping)
            return;
        stopping = true;
        diagnostics.info("stopping", {{"signal", number == SIGTERM ? "SIGTERM" : "SIGINT"}});
        daemon.stop();
        halt.ask();
        if (endpoint)
            endpoint->close();
        patience.expires_after(grace);
        patience.async_wait([&](boost::system::error_code ended) {
            if (ended)
                return;
            given_up = true;
            io.stop();
        });
    };
    signals.async_wait(on_signal);

    diagnostics.info("started", {{"version", POSTERN_VERSION},
                                 {"holder", daemon.now().holder},
                                 {"listen", endpoint ? endpoint->address() : "nowhere"},
                                 {"observe", asked.observe}});
    std::exception_ptr thrown;
    asio::co_spawn(io, daemon.run(), [&](std::exception_ptr e) {
        thrown = std::move(e);
        patience.cancel();
        signals.cancel();
        if (endpoint)
            endpoint->close();
    });
    io.run();
    if (thrown)
        std::rethrow_exception(thrown);
    if (given_up)
        diagnostics.warn("stopped", {{"note", "a request was still under way: its intent is recorded, and the lease "
                                              "runs out by itself"}});
    else
        diagnostics.info("stopped");
    diagnostics.set_context({});
    std::cerr.flush();
    if (given_up)
        std::_Exit(code::fine); // a blocking call may never return
    return code::fine;
}

} // namespace postern::cli
