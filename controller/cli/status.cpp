#include "run/status.hpp"

#include "cli/ask_leader.hpp"
#include "cli/secret_flag.hpp"
#include "cli/session.hpp"
#include "cli/status_text.hpp"
#include "cli/store_address.hpp"
#include "cli/verbs.hpp"
#include "cli/wait_for.hpp"
#include "provider/call.hpp"

#include <boost/asio/io_context.hpp>

#include <iostream>
#include <optional>
#include <utility>

namespace postern::cli {

namespace asio = boost::asio;

namespace {

result<net::request> status_request(const options& asked) {
    auto token = read_secret_flag(asked.listen_token, "POSTERN_LISTEN_TOKEN");
    if (token.has_error())
        return token.error();
    net::request r;
    r.origin = asked.endpoint;
    r.target = "/api/v1/status";
    r.repeatable = net::repeat::safe;
    r.what = "GET " + asked.endpoint + "/api/v1/status";
    if (token.value())
        provider::authorize(r, *token.value());
    return r;
}

result<run::status> from_endpoint(const options& asked) {
    auto request = status_request(asked);
    if (request.has_error())
        return request.error();
    const auto where = request->what;
    asio::io_context io{1};
    const auto wire = net::make_https_transport(io.get_executor(), wire_settings(asked));
    auto answer = wait_for(io, wire->send(std::move(request.value())));
    if (answer.has_error())
        return failure(answer.error().kind, where, answer.error().what);
    if (answer->status == 401)
        return failure(
            error_kind::credential, where,
            "401: it wants another bearer token, or one at all: set POSTERN_LISTEN_TOKEN as the daemon has it, or "
            "say --listen-token-from");
    if (answer->status != 200)
        return failure(error_kind::unavailable, where,
                       "answered " + std::to_string(answer->status) +
                           ", which is not what `postern run --listen` does");
    auto read = run::parse_status(answer->body.reveal());
    if (read.has_error())
        return failure(error_kind::unavailable, where, "did not answer with a status: " + read.error().what);
    return read;
}

// What was saved last, and who leads by now. Whoever was killed still stands in the lease: only renewing it is leading.
asio::awaitable<result<run::status>> read_saved(run::store* kept, duration patience) {
    auto loading = kept->load_status();
    const auto document = co_await std::move(loading);
    if (document.has_error())
        co_return document.error();
    if (document->empty())
        co_return failure(error_kind::unavailable, "store", "no daemon has saved its status there yet");
    auto saved = run::parse_status(document.value());
    if (saved.has_error())
        co_return failure(error_kind::unavailable, "store", "what stands there is no status: " + saved.error().what);
    auto looking = look_for_beat(kept, patience);
    const auto seen = co_await std::move(looking);
    if (seen.has_error())
        co_return seen.error();
    const auto& lease = seen->row;
    saved->leader = seen->beats ? lease.holder : std::string{};
    saved->leading = seen->beats && lease.holder == saved->holder && lease.epoch == saved->epoch;
    saved->silent_holder = seen->beats ? std::string{} : lease.holder;
    co_return saved;
}

result<run::status> from_store(const options& asked) {
    const auto kept = open_existing_store(asked);
    if (kept.has_error())
        return kept.error();
    return wait_for(read_saved(kept.value().get(), asked.daemon.lease / 2));
}

} // namespace

int show_status(const options& asked) {
    auto found = asked.endpoint.empty() ? from_store(asked) : from_endpoint(asked);
    if (found.has_value() && !asked.only.empty())
        found = run::only_token(std::move(found.value()), asked.only);
    if (found.has_error()) {
        std::cerr << found.error().message() << '\n';
        return code::error;
    }
    if (asked.form == output::json)
        std::cout << run::to_json(found.value()) << '\n';
    else
        std::cout << status_text(found.value(), net::system_clock{}.now(), colours_wanted());
    return code::fine;
}

} // namespace postern::cli
