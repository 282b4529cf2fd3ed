#include "reconcile/miniature.hpp"

#include "net/http.hpp"
#include "spec/load.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <stdexcept>

namespace postern::testing {

namespace asio = boost::asio;
using testcloud::fate;
using testcloud::service;

namespace {

constexpr std::string_view edge_origin = "http://127.0.0.1:1004";

service service_at(const net::request& r) {
    if (r.connect_to)
        return *r.connect_to == edge_origin ? service::edge : service::control;
    // By port: "localhost" is the same cloud, for documents that need a second connection to it.
    const auto port = r.origin.substr(r.origin.rfind(':') + 1);
    return port == "1001"   ? service::cloudflare
           : port == "1002" ? service::infisical
           : port == "1003" ? service::heroku
                            : service::control;
}

std::string method_of(net::method m) {
    return std::string{net::to_string(m)};
}

testcloud::request as_cloud_sees(const net::request& r) {
    std::vector<testcloud::field> headers;
    const auto origin = net::parse_origin(r.origin);
    headers.push_back({"Host", origin ? origin->host : std::string{}});
    headers.push_back({"User-Agent", "postern/test"});
    for (const auto& h : r.headers)
        headers.push_back({h.name, std::string{h.value.reveal()}});
    return testcloud::make_request(service_at(r), method_of(r.verb), r.target, std::move(headers),
                                   std::string{r.body.reveal()});
}

net::response as_client_sees(const testcloud::reply& from, instant now) {
    net::response out;
    out.status = from.status;
    bool dated = false;
    for (const auto& f : from.headers) {
        if (f.name == "Set-Cookie")
            continue;
        dated = dated || f.name == "Date";
        out.headers.emplace_back(f.name, f.value);
    }
    if (!dated)
        out.headers.emplace_back("Date", testcloud::http_date(now));
    out.body = secret{from.body};
    return out;
}

error lost(const net::request& r, std::string what) {
    return {r.repeatable == net::repeat::once ? error_kind::ambiguous : error_kind::unavailable,
            r.what,
            std::move(what),
            0,
            {},
            {}};
}

} // namespace

asio::awaitable<result<net::response>> direct_transport::send(net::request r) {
    auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
    const auto n = ++sent_;
    if (lag) {
        auto going = clock_.sleep_for(lag(n, false));
        co_await std::move(going);
    }
    dead_ = dead_ || (dies && dies(n, false));
    if (dead_)
        co_return error{error_kind::cancelled, r.what, "the process is dead", 0, {}, {}};
    if (auto stopped = on_the_way ? on_the_way(r) : std::nullopt) {
        stopped->where = r.what;
        co_return std::move(*stopped);
    }
    if (cloud_.time.now() < clock_.now())
        cloud_.advance_to(clock_.now());
    auto out = cloud_.serve(as_cloud_sees(r));
    dead_ = dies && dies(n, true);
    if (dead_)
        co_return error{error_kind::cancelled, r.what, "the process is dead", 0, {}, {}};
    if (lag) {
        auto coming = clock_.sleep_for(lag(n, true));
        co_await std::move(coming);
    }
    if (out.how == fate::answer) {
        auto answer = as_client_sees(out.answer, clock_.now());
        if (heard)
            heard(r, answer);
        co_return answer;
    }
    if (out.how == fate::hang) {
        auto sleep = clock_.sleep_for(r.timeout.value_or(std::chrono::seconds{30}));
        co_await std::move(sleep);
    }
    co_return lost(r, std::string{to_string(out.how)});
}

void recorder::finished(const domain::step& s, const domain::outcome& came) {
    words.push_back(domain::word(s) + (came.failure ? "!" : ""));
    steps.push_back(s);
    outcomes.push_back(came);
}

void recorder::waiting(instant, const std::vector<domain::condition>&) {
    ++waits;
}

// What one process of Postern has in memory.
struct miniature::process {
    struct watcher final : run::progress {
        recorder& to;
        net::stop& halt;
        const std::function<void(net::stop&, const domain::step&)>& on_step;

        watcher(recorder& r, net::stop& h, const std::function<void(net::stop&, const domain::step&)>& f)
            : to(r), halt(h), on_step(f) {}
        void started(const domain::step& s) override {
            if (on_step)
                on_step(halt, s);
        }
        void finished(const domain::step& s, const domain::outcome& came) override { to.finished(s, came); }
        void waiting(instant until, const std::vector<domain::condition>& c) override { to.waiting(until, c); }
    };

    process(miniature& in, const domain::desired& wanted, const asio::any_io_executor& executor)
        : wire(in.cloud, in.clock), log(in.logged, run::level::debug, run::log_format::text),
          remotes(run::wiring{wire, in.clock, log, in.settings.how.request_timeout, [] { return 0.5; },
                              std::string{edge_origin}, in.may_write, in.on_response, &halt}),
          around{wanted, remotes, ring, reach, in.clock}, reader(around), watch(in.told, halt, in.on_step),
          one(around, reader, world, halt, watch, in.settings, executor) {
        if (!in.holders.empty()) {
            world.holder = in.holders.front();
            in.holders.erase(in.holders.begin());
        }
        wire.dies = in.dies;
        wire.on_the_way = in.on_the_way;
        wire.heard = in.heard;
        if (in.distance)
            wire.lag = [far = *in.distance](std::size_t, bool) { return far; };
        reach.env = [&in](const std::string& name) -> std::optional<secret> {
            auto at = in.environment.find(name);
            return at == in.environment.end() ? std::nullopt : std::optional<secret>{secret{at->second}};
        };
        reach.file = [](const std::string& path) {
            return error{error_kind::credential, "file " + path, "tests have no files", 0, {}, {}};
        };
    }

    direct_transport wire;
    run::log log;
    run::reach reach;
    run::key_ring ring;
    net::stop halt;
    run::clients remotes;
    run::surroundings around;
    run::gatherer reader;
    domain::observed world = run::new_process();
    watcher watch;
    run::pass one;
};

miniature::miniature() : clock(testcloud::cloud::default_start()) {
    cloud.seed_example();
    environment = {{"CLOUDFLARE_ACCOUNT_ID", cloud.access.account_id},
                   {"INFISICAL_CLIENT_ID", cloud.example.client_id},
                   {"INFISICAL_CLIENT_SECRET", cloud.example.client_secret},
                   {"INFISICAL_PROJECT_ID", cloud.vault.project_id},
                   {"HEROKU_API_KEY", cloud.example.heroku_key}};
}

namespace {

// Until `done`: what can run runs, then time moves to the first sleeper.
template<class Done>
void run_until(asio::io_context& io, settable_clock& clock, Done done) {
    for (;;) {
        io.restart();
        io.poll();
        if (done())
            return;
        const auto next = clock.next_wake();
        if (!next)
            throw std::logic_error("the process waits for something that never comes");
        clock.set(*next);
    }
}

asio::awaitable<run::pass_report> begin_at(settable_clock& clock, instant at, run::pass& one) {
    auto sleep = clock.sleep_for(at - clock.now());
    co_await std::move(sleep);
    auto whole = one.run();
    co_return co_await std::move(whole);
}

} // namespace

template<class T, class Start>
T miniature::run_process(const domain::desired& wanted, Start start) {
    told = recorder{};
    asio::io_context io{1};
    process p{*this, wanted, io.get_executor()};
    std::optional<T> out;
    std::exception_ptr thrown;
    auto ended = [&](std::exception_ptr e, T value) {
        thrown = e;
        out.emplace(std::move(value));
    };
    asio::co_spawn(io, start(p), ended);
    run_until(io, clock, [&] { return out.has_value(); });
    requests_of_last = p.wire.sent();
    if (thrown)
        std::rethrow_exception(thrown);
    return std::move(*out);
}

run::pass_report miniature::apply(const domain::desired& wanted) {
    return run_process<run::pass_report>(wanted, [](process& p) { return p.one.run(); });
}

std::vector<run::pass_report> miniature::apply_together(const domain::desired& wanted,
                                                        const std::vector<duration>& starts,
                                                        std::function<duration(std::size_t)> lag) {
    told = recorder{};
    asio::io_context io{1};
    std::vector<std::unique_ptr<process>> processes;
    std::vector<std::optional<run::pass_report>> out(starts.size());
    std::exception_ptr thrown;
    for (std::size_t i = 0; i < starts.size(); ++i) {
        processes.push_back(std::make_unique<process>(*this, wanted, io.get_executor()));
        auto& p = *processes.back();
        p.wire.lag = [lag, i](std::size_t, bool) { return lag(i); };
        asio::co_spawn(io, begin_at(clock, clock.now() + starts[i], p.one),
                       [&, i](std::exception_ptr e, run::pass_report report) {
                           thrown = thrown ? thrown : e;
                           out[i].emplace(std::move(report));
                       });
    }
    run_until(io, clock, [&] { return std::all_of(out.begin(), out.end(), [](const auto& o) { return o; }); });
    if (thrown)
        std::rethrow_exception(thrown);
    std::vector<run::pass_report> reports;
    for (auto& one : out)
        reports.push_back(std::move(*one));
    return reports;
}

run::plan miniature::plan(const domain::desired& wanted) {
    return run_process<run::plan>(
        wanted, [&](process& p) { return run::make_plan(p.around, p.reader, p.world, p.halt, p.watch, settings); });
}

namespace {

asio::awaitable<bool> whole(asio::awaitable<void> job) {
    co_await std::move(job);
    co_return true;
}

} // namespace

void miniature::in_process(const domain::desired& wanted, const std::function<asio::awaitable<void>(hands)>& job) {
    run_process<bool>(wanted, [&](process& p) { return whole(job(hands{p.around, p.reader, p.halt, p.world})); });
}

std::vector<std::string> miniature::requests() {
    std::vector<std::string> out;
    for (const auto& entry : cloud.ledger.requests()) {
        if (!entry.by_operator)
            out.push_back(std::string{to_string(entry.to)} + " " + entry.method + " " +
                          entry.target.substr(0, entry.target.find('?')));
    }
    cloud.ledger.forget_requests();
    std::sort(out.begin(), out.end());
    return out;
}

std::size_t miniature::writes() {
    const auto& all = cloud.ledger.requests();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const auto& entry) {
        return entry.kind == "write" && !entry.by_operator && entry.to != service::edge;
    }));
}

const testcloud::vault_folder& miniature::folder(const std::string& path) {
    return cloud.vault.environment("prod")->folders.at(path);
}

std::string miniature::vault_value(const std::string& path, const std::string& key) {
    auto& folders = cloud.vault.environment("prod")->folders;
    auto at = folders.find(path);
    if (at == folders.end())
        return {};
    auto row = at->second.secrets.find(key);
    return row == at->second.secrets.end() ? std::string{} : row->second.value;
}

std::string miniature::app_value(const std::string& app, const std::string& var) {
    // An app that is gone for the API still holds what it held.
    for (const auto& a : cloud.platform.apps) {
        if (a.name != app)
            continue;
        auto at = a.config.find(var);
        return at == a.config.end() ? std::string{} : at->second;
    }
    return {};
}

std::vector<const testcloud::service_token*> miniature::tokens(std::string_view name) {
    std::vector<const testcloud::service_token*> out;
    for (const auto& [id, token] : cloud.access.config.tokens) {
        if (token.name.starts_with(name))
            out.push_back(&token);
    }
    return out;
}

std::string base_documents() {
    return R"(
apiVersion: postern/v1alpha1
kind: CloudflareAccount
metadata: {name: raxx}
spec:
  apiUrl: http://127.0.0.1:1001/client/v4
  accountId: {env: CLOUDFLARE_ACCOUNT_ID}
  apiToken: {vault: {key: CLOUDFLARE_ACCESS_MGMT_TOKEN}}
---
apiVersion: postern/v1alpha1
kind: InfisicalVault
metadata: {name: infisical}
spec:
  url: http://127.0.0.1:1002
  projectSlug: moosequest-68e8db
  environment: prod
  auth: {universalAuth: {clientId: {env: INFISICAL_CLIENT_ID}, clientSecret: {env: INFISICAL_CLIENT_SECRET}}}
  vendorPaths: {cloudflare: /MooseQuest/cloudflare}
  statePath: /MooseQuest/postern
---
apiVersion: postern/v1alpha1
kind: HerokuAccount
metadata: {name: heroku}
spec: {apiUrl: "http://127.0.0.1:1003", apiKey: {env: HEROKU_API_KEY}}
)";
}

std::string console_documents() {
    return base_documents() + R"(---
apiVersion: postern/v1alpha1
kind: ServiceToken
metadata: {name: console-self-probe}
spec:
  duration: 8760h
  credential: {key: CF_ACCESS_SVC_CONSOLE, cadenceKey: cf_access_service_token}
  authorization: I authorize CF_ACCESS_SVC_CONSOLE
---
apiVersion: postern/v1alpha1
kind: AccessBinding
metadata: {name: console-self-probe}
spec:
  tokens: [console-self-probe]
  applications: [{domain: console-staging.raxx.app}, {domain: console.raxx.app}]
---
apiVersion: postern/v1alpha1
kind: HerokuBinding
metadata: {name: console-self-probe}
spec: {token: console-self-probe, apps: [raxx-console-staging, raxx-console-prod]}
)";
}

domain::desired documents(const std::string& yaml) {
    auto loaded = spec::load({spec::spec_file{"test.yaml", yaml}}, "tests", {});
    for (const auto& problem : loaded.problems)
        throw std::logic_error(spec::to_string(problem));
    return std::move(loaded.desired);
}

std::string troubles(const std::vector<domain::condition>& conditions) {
    std::string out;
    for (const auto& c : conditions) {
        if (c.heft != domain::weight::fine)
            out += c.resource + " " + c.type + " " + c.reason + ": " + c.message + "\n";
    }
    return out;
}

bool has_reason(const std::vector<domain::condition>& conditions, std::string_view reason) {
    return std::any_of(conditions.begin(), conditions.end(), [&](const auto& c) { return c.reason == reason; });
}

} // namespace postern::testing
