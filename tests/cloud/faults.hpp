#pragma once

#include "cloud/exchange.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <vector>

// What goes wrong, and when. A fault waits for requests that match it, lets the first `skip` of them pass and meets the
// next `times`. Faults that stop a request before it acts (drop, reset, hang, answer) leave the service untouched,
// unless `after` is set: then the service acts and only its reply is lost or replaced. Several faults may meet one
// request.
namespace postern::testcloud {

enum class fault_action {
    drop,       // the connection is closed without a reply
    reset,      // the connection is reset without a reply
    hang,       // no reply, ever
    answer,     // `status`, `headers` and `body` instead of the service's own reply
    truncate,   // the service acts; half of its body, with a length that fits
    cut,        // the service acts; the connection closes in the middle of its body
    delay,      // the service acts; the reply comes `delay` of real time later
    empty_list, // the service acts; its `result`, `secrets` or whole array comes empty, with success
    hold,       // nothing happens until release() is called; then the service acts and answers
    hook        // `act` runs before the service does (with `after`: after it): somebody else's edit
};

std::optional<fault_action> parse_fault_action(std::string_view text);
std::string_view to_string(fault_action a);

struct fault {
    std::string name; // for the ledger; default the action
    fault_action what = fault_action::drop;
    std::optional<service> to;
    std::string method; // "" any, "write" all but GET and HEAD, else that method
    std::string path;   // a regular expression that is searched for in the target; "" any
    std::size_t skip = 0;
    std::size_t times = 1; // 0: for ever
    bool after = false;
    int status = 500;
    std::vector<field> headers;
    std::string body;
    duration delay{};
    std::function<void()> act;
    std::shared_ptr<bool> released; // of `hold`

    std::size_t seen = 0;
    std::size_t fired = 0;
};

class faults {
public:
    // Throws std::regex_error on a path that is no regular expression.
    void add(fault f);
    void clear() { waiting_.clear(); }
    // Lets every held request go on; none is held any more.
    void release();
    std::vector<fault> all() const;

    // Those that meet this request, counted.
    std::vector<fault> meet(const request& r);

private:
    struct armed {
        fault what;
        std::regex path;
    };
    std::vector<armed> waiting_;
};

// Whether the service is asked at all.
bool stops_before_acting(const fault& f);
// What the fault makes of the service's outcome.
void apply_to(const fault& f, outcome& out);

} // namespace postern::testcloud
