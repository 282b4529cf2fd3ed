#pragma once

#include "cloud/cloud.hpp"
#include "domain/desired.hpp"
#include "net/transport.hpp"
#include "run/pass.hpp"
#include "run/plan.hpp"
#include "support/settable_clock.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

// The run floor against the miniature cloud, in one process, without a socket and in virtual time: an hour of waiting
// takes no time, and a test can stop a "process" at any request. Each process() forgets everything that a real one
// would.
namespace postern::testing {

// The documents that most tests start from, and the same with other documents behind them.
std::string base_documents();
std::string console_documents();
domain::desired documents(const std::string& yaml);

// Requests go straight to the cloud's services; what a fault makes of the reply becomes what a socket would say.
class direct_transport final : public net::transport {
public:
    direct_transport(testcloud::cloud& to, settable_clock& clock) : cloud_(to), clock_(clock) {}

    boost::asio::awaitable<result<net::response>> send(net::request r) override;

    // Called before the nth request (from 1) that this transport carries, after it with true. Returns whether the
    // process dies there: nothing it sends from then on arrives.
    std::function<bool(std::size_t n, bool after)> dies;
    // How long the nth request is on its way to the cloud and, with true, its reply on the way back.
    std::function<duration(std::size_t n, bool after)> lag;
    // What becomes of a request on the way, where it does not arrive: no name, no route, a certificate nobody trusts.
    std::function<std::optional<error>(const net::request&)> on_the_way;
    // Called with each answer that arrives.
    std::function<void(const net::request&, const net::response&)> heard;
    std::size_t sent() const { return sent_; }

private:
    testcloud::cloud& cloud_;
    settable_clock& clock_;
    std::size_t sent_ = 0;
    bool dead_ = false;
};

// What a pass told while it went on.
struct recorder final : run::progress {
    void finished(const domain::step& s, const domain::outcome& came) override;
    void waiting(instant until, const std::vector<domain::condition>& conditions) override;

    std::vector<std::string> words; // of the steps, as they ended; "word!" for one that failed
    std::vector<domain::step> steps;
    std::vector<domain::outcome> outcomes; // of each of them
    int waits = 0;
};

class miniature {
public:
    miniature();

    testcloud::cloud cloud;
    settable_clock clock;
    std::map<std::string, std::string> environment;
    run::pass_settings settings;
    std::ostringstream logged; // everything, at debug level, of every process
    recorder told;             // of the last process

    // One process that does one pass over these documents and ends. May be called while another one stands still, say
    // from `dies`: time then passes for both.
    run::pass_report apply(const domain::desired& wanted);
    // Several of them at once. Each begins so much later; their requests overlap as `lag` says, by process.
    std::vector<run::pass_report> apply_together(const domain::desired& wanted, const std::vector<duration>& starts,
                                                 std::function<duration(std::size_t process)> lag);
    run::plan plan(const domain::desired& wanted);
    // What a process has in memory, for tests that take single steps.
    struct hands {
        run::surroundings around;
        run::gatherer& reader;
        net::stop& halt;
        domain::observed& world;
    };
    void in_process(const domain::desired& wanted, const std::function<boost::asio::awaitable<void>(hands)>& job);
    // The same, given a say in when the process dies or is asked to stop.
    std::function<bool(std::size_t, bool)> dies;
    std::function<std::optional<error>(const net::request&)> on_the_way;
    std::function<void(net::stop&, const domain::step&)> on_step;
    std::function<void(const net::request&, const net::response&)> heard;
    // How long a request is on its way, and its reply on the way back.
    std::optional<duration> distance;
    std::function<bool()> may_write;
    std::function<void(std::string_view provider, int status)> on_response;
    // The id by which the nth process from here on calls itself; random where empty.
    std::vector<std::string> holders;
    std::size_t requests_of_last = 0;

    // Requests since the last call, without those of the operator: "infisical GET /api/v3/secrets/raw", sorted.
    std::vector<std::string> requests();
    std::size_t writes();

    const testcloud::vault_folder& folder(const std::string& path);
    std::string vault_value(const std::string& path, const std::string& key);
    std::string app_value(const std::string& app, const std::string& var);
    // Tokens whose names begin with this.
    std::vector<const testcloud::service_token*> tokens(std::string_view name);

private:
    struct process;
    template<class T, class Start>
    T run_process(const domain::desired& wanted, Start start);
};

// "Type reason" of what is not fine, for messages of failed checks.
std::string troubles(const std::vector<domain::condition>& conditions);
bool has_reason(const std::vector<domain::condition>& conditions, std::string_view reason);

} // namespace postern::testing
