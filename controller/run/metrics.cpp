#include "run/metrics.hpp"

#include "base/text.hpp"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unordered_map>

namespace postern::run {

namespace {

using labels = prometheus::Labels;
using gauges = prometheus::Family<prometheus::Gauge>;

double seconds(instant at) {
    return static_cast<double>(at.time_since_epoch().count()) / 1000.0;
}

gauges& family(prometheus::Registry& in, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(in);
}

// The gauges of one name. Between begin() and end() all are set that are to stay; the others go.
class series {
public:
    series(prometheus::Registry& in, const char* name, const char* help) : of_(family(in, name, help)) {}

    void begin() { ++round_; }
    void set(const labels& by, double value) {
        auto& gauge = of_.Add(by);
        gauge.Set(value);
        seen_[&gauge] = round_;
    }
    void end() {
        std::erase_if(seen_, [&](const auto& entry) {
            const bool gone = entry.second != round_;
            if (gone)
                of_.Remove(entry.first);
            return gone;
        });
    }

private:
    gauges& of_;
    std::unordered_map<prometheus::Gauge*, std::uint64_t> seen_;
    std::uint64_t round_ = 0;
};

const prometheus::Histogram::BucketBoundaries pass_buckets{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200};

} // namespace

struct metrics::state {
    prometheus::Registry all;
    series token_expiry{all, "postern_token_expiry_timestamp_seconds", "When the credential in force expires."};
    series rotation_due{all, "postern_token_rotation_due_timestamp_seconds",
                        "When the credential in force will be, or became, due for rotation."};
    series conditions{all, "postern_condition", "Each condition of the last pass: always 1."};
    series needs_person{all, "postern_needs_person", "What needs a person: always 1."};
    series connection_expiry{all, "postern_connection_expiry_timestamp_seconds",
                             "When one of Postern's own keys expires."};
    series build{all, "postern_build_info", "Version of the program and revision of the documents in force: always 1."};
    prometheus::Gauge& leader = family(all, "postern_leader", "Whether this process leads.").Add({});
    prometheus::Gauge& observing =
        family(all, "postern_observing", "Whether the brake is on: nothing is written.").Add({});
    prometheus::Gauge& specs_good =
        family(all, "postern_specs_good", "Whether the newest documents are in force.").Add({});
    prometheus::Gauge& last_good_pass =
        family(all, "postern_last_good_pass_timestamp_seconds",
               "When a pass last read the whole world and ended with nothing that failed or is retried; 0: never yet.")
            .Add({});
    prometheus::Histogram& passes = prometheus::BuildHistogram()
                                        .Name("postern_reconcile_duration_seconds")
                                        .Help("How long passes took.")
                                        .Register(all)
                                        .Add({}, pass_buckets);
    prometheus::Counter& repaired = prometheus::BuildCounter()
                                        .Name("postern_drift_repaired_total")
                                        .Help("Objects that were set right after somebody else had changed them.")
                                        .Register(all)
                                        .Add({});
    prometheus::Family<prometheus::Counter>& requests =
        prometheus::BuildCounter()
            .Name("postern_api_requests_total")
            .Help("Requests to remotes by HTTP status; code \"none\" where no answer was had.")
            .Register(all);
    gauges& budgets = family(all, "postern_api_budget_remaining", "Requests that a remote's rate limit leaves.");
};

metrics::metrics() : state_(std::make_unique<state>()) {}
metrics::~metrics() = default;

void metrics::show(const status& s) {
    auto& to = *state_;
    for (auto* each :
         {&to.token_expiry, &to.rotation_due, &to.conditions, &to.needs_person, &to.connection_expiry, &to.build})
        each->begin();
    for (const auto& t : s.tokens) {
        if (t.expires_at)
            to.token_expiry.set({{"token", printable(t.name)}}, seconds(*t.expires_at));
        if (t.rotation_due)
            to.rotation_due.set({{"token", printable(t.name)}}, seconds(*t.rotation_due));
    }
    // Who stands by saw the world once, maybe months ago: what it found wrong then is the leader's to tell.
    for (const auto& c : s.leading ? s.conditions : std::vector<domain::condition>{}) {
        const auto resource = printable(c.resource);
        to.conditions.set({{"resource", resource},
                           {"type", printable(c.type)},
                           {"reason", printable(c.reason)},
                           {"status", std::string{word_of(c.is)}}},
                          1);
        if (c.heft == domain::weight::blocked)
            to.needs_person.set({{"resource", resource}, {"reason", printable(c.reason)}}, 1);
    }
    for (const auto& c : s.connections) {
        if (c.expires_at)
            to.connection_expiry.set({{"connection", printable(c.resource)}}, seconds(*c.expires_at));
    }
    to.build.set({{"version", printable(s.version)}, {"revision", printable(s.revision)}}, 1);
    for (auto* each :
         {&to.token_expiry, &to.rotation_due, &to.conditions, &to.needs_person, &to.connection_expiry, &to.build})
        each->end();
    to.leader.Set(s.leading ? 1 : 0);
    to.observing.Set(s.observing ? 1 : 0);
    to.specs_good.Set(s.specs_problem.empty() && !s.revision.empty() ? 1 : 0);
    to.last_good_pass.Set(s.last_good_pass ? seconds(*s.last_good_pass) : 0);
}

void metrics::count_request(std::string_view provider, int code) {
    state_->requests.Add({{"provider", printable(provider)}, {"code", code == 0 ? "none" : std::to_string(code)}})
        .Increment();
}

void metrics::budget(std::string_view provider, std::string_view account, double remaining) {
    state_->budgets.Add({{"provider", printable(provider)}, {"account", printable(account)}}).Set(remaining);
}

void metrics::pass_took(duration d) {
    state_->passes.Observe(static_cast<double>(d.count()) / 1000.0);
}

void metrics::drift_repaired(std::uint64_t objects) {
    state_->repaired.Increment(static_cast<double>(objects));
}

std::string metrics::text() const {
    return prometheus::TextSerializer{}.Serialize(state_->all.Collect());
}

} // namespace postern::run
