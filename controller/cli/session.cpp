#include "cli/session.hpp"

#include "cli/process.hpp"
#include "net/https_transport.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <utility>

namespace postern::cli {

namespace asio = boost::asio;

session::session(const options& asked, const domain::desired& wanted)
    : asked_(asked), wanted_(wanted),
      log_(std::cerr, asked.log_level, format_of(asked), [this] { return format_instant(clock_.now()); }),
      reach_(run::reach_of_process(asked.trust.secrets_dir)),
      wire_(net::make_https_transport(io_.get_executor(), wire_settings(asked))),
      remotes_(run::wiring{*wire_, clock_, log_, asked.request_timeout, jitter(), asked.connect_to, {}, {}, &halt_}),
      reader_(around()) {}

session::~session() = default;

std::optional<error> session::unusable() const {
    auto checked = net::check(wire_settings(asked_));
    return checked.has_error() ? std::optional<error>{checked.error()} : std::nullopt;
}

run::surroundings session::around() {
    return {wanted_, remotes_, ring_, reach_, clock_};
}

run::pass_settings session::settings() const {
    run::pass_settings settings;
    settings.how.observe = asked_.observe;
    settings.how.prune = asked_.prune;
    settings.how.max_changes = asked_.max_changes;
    settings.how.request_timeout = asked_.request_timeout;
    settings.how.max_rotations = asked_.max_rotations;
    settings.how.only = asked_.only;
    settings.how.requests = asked_.requests;
    settings.how.own_apps = own_apps();
    settings.wait = asked_.wait;
    settings.takes = asked_.takes;
    return settings;
}

template<class T>
T session::finish(asio::awaitable<T> job, std::function<void()> tick) {
    std::optional<T> out;
    std::exception_ptr thrown;
    asio::co_spawn(io_, std::move(job), [&](std::exception_ptr e, T value) {
        thrown = std::move(e);
        out.emplace(std::move(value));
        io_.stop();
    });
    asio::signal_set signals{io_, SIGINT, SIGTERM};
    std::function<void(boost::system::error_code, int)> on_signal = [&](boost::system::error_code failed, int) {
        if (failed)
            return;
        if (halt_.asked())
            std::_Exit(code::error);
        log_.warn("stopping",
                  {{"note", "what was sent is answered, and no step is begun any more; a second signal ends at once"}});
        halt_.ask();
        signals.async_wait(on_signal);
    };
    signals.async_wait(on_signal);
    asio::steady_timer timer{io_};
    std::function<void(boost::system::error_code)> on_tick = [&](boost::system::error_code failed) {
        if (failed)
            return;
        tick();
        timer.expires_after(std::chrono::seconds{1});
        timer.async_wait(on_tick);
    };
    timer.expires_after(std::chrono::seconds{1});
    if (tick)
        timer.async_wait(on_tick);
    io_.restart();
    io_.run();
    if (thrown)
        std::rethrow_exception(thrown);
    return std::move(out.value());
}

run::plan session::make_plan(run::progress& watcher, std::function<void()> tick) {
    return finish(run::make_plan(around(), reader_, world_, halt_, watcher, settings()), std::move(tick));
}

void session::rest(duration d) {
    finish(net::sleep_through(&halt_, &clock_, d), {});
}

run::pass_report session::make_pass(run::progress& watcher, std::function<void()> tick) {
    run::pass pass{around(), reader_, world_, halt_, watcher, settings(), io_.get_executor()};
    return finish(pass.run(), std::move(tick));
}

} // namespace postern::cli
