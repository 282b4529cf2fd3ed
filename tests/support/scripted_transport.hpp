#pragma once

#include "net/clock.hpp"
#include "net/transport.hpp"

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A transport that plays a script: which requests are expected, and what each is answered. A request that no unused
// expectation fits fails the test, and so does an expectation that is left over. Expectations with different verbs or
// URLs may come in any order, equal ones are used in the order written.
namespace postern::testing {

// A request as it was sent, in the clear: tests look into it.
struct sent_request {
    net::method verb = net::method::get;
    std::string url; // origin and target
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    net::repeat repeatable = net::repeat::once;
    std::string what;
    std::optional<duration> timeout;
    std::optional<duration> patience;
    std::optional<instant> start_by;
    std::optional<std::string> connect_to;

    // The value of that header, whatever its case; empty where absent.
    std::string header(std::string_view name) const;
};

class expectation {
public:
    // The body must be this; where both are JSON the order of members and white space do not count.
    expectation& with_body(std::string text);
    expectation& with_header(std::string name, std::string value);

    expectation& answers(int status, std::string body = {},
                         std::vector<std::pair<std::string, std::string>> headers = {});
    expectation& fails(error_kind kind, std::string what = "scripted failure");
    // The answer comes after that time on the clock.
    expectation& after(net::clock& time, duration wait);

private:
    friend class scripted_transport;
    net::method verb_ = net::method::get;
    std::string url_;
    std::optional<std::string> body_;
    std::vector<std::pair<std::string, std::string>> headers_;
    int status_ = 200;
    std::string answer_;
    std::vector<std::pair<std::string, std::string>> answer_headers_;
    std::optional<error> failure_;
    net::clock* clock_ = nullptr;
    duration wait_{0};
    bool used_ = false;
};

class scripted_transport final : public net::transport {
public:
    ~scripted_transport() override;

    // `url` is origin and target, or a target alone, which fits every origin. Without a word about the answer: 200 with
    // an empty body.
    expectation& expect(net::method verb, std::string url);

    const std::vector<sent_request>& requests() const { return requests_; }
    boost::asio::awaitable<result<net::response>> send(net::request r) override;

private:
    expectation* find(const sent_request& r, const std::string& target);

    std::deque<expectation> script_; // expect() gives out references
    std::vector<sent_request> requests_;
};

} // namespace postern::testing
