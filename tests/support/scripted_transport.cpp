#include "support/scripted_transport.hpp"

#include "base/text.hpp"

#include <boost/json/parse.hpp>
#include <doctest/doctest.h>

namespace postern::testing {

namespace json = boost::json;

namespace {

std::string name(net::method verb, const std::string& url) {
    return std::string{net::to_string(verb)} + " " + url;
}

bool same_body(const std::string& a, const std::string& b) {
    boost::system::error_code not_json;
    auto left = json::parse(a, not_json);
    if (not_json)
        return a == b;
    auto right = json::parse(b, not_json);
    return !not_json && left == right;
}

sent_request in_the_clear(const net::request& r) {
    sent_request out;
    out.verb = r.verb;
    out.url = r.origin + r.target;
    for (const auto& h : r.headers)
        out.headers.emplace_back(h.name, std::string{h.value.reveal()});
    out.body = std::string{r.body.reveal()};
    out.repeatable = r.repeatable;
    out.what = r.what;
    out.timeout = r.timeout;
    out.patience = r.patience;
    out.start_by = r.start_by;
    out.connect_to = r.connect_to;
    return out;
}

} // namespace

std::string sent_request::header(std::string_view wanted) const {
    for (const auto& [key, value] : headers) {
        if (lower(key) == lower(wanted))
            return value;
    }
    return {};
}

expectation& expectation::with_body(std::string text) {
    body_ = std::move(text);
    return *this;
}

expectation& expectation::with_header(std::string key, std::string value) {
    headers_.emplace_back(std::move(key), std::move(value));
    return *this;
}

expectation& expectation::answers(int status, std::string body,
                                  std::vector<std::pair<std::string, std::string>> headers) {
    status_ = status;
    answer_ = std::move(body);
    answer_headers_ = std::move(headers);
    return *this;
}

expectation& expectation::fails(error_kind kind, std::string what) {
    failure_.emplace();
    failure_->kind = kind;
    failure_->what = std::move(what);
    return *this;
}

expectation& expectation::after(net::clock& time, duration wait) {
    clock_ = &time;
    wait_ = wait;
    return *this;
}

scripted_transport::~scripted_transport() {
    for (const auto& e : script_) {
        if (!e.used_)
            ADD_FAIL_CHECK_AT(__FILE__, __LINE__, "expected but never sent: " << name(e.verb_, e.url_));
    }
}

expectation& scripted_transport::expect(net::method verb, std::string url) {
    auto& out = script_.emplace_back();
    out.verb_ = verb;
    out.url_ = std::move(url);
    return out;
}

expectation* scripted_transport::find(const sent_request& r, const std::string& target) {
    for (auto& e : script_) {
        if (!e.used_ && e.verb_ == r.verb && (e.url_ == r.url || e.url_ == target))
            return &e;
    }
    return nullptr;
}

boost::asio::awaitable<result<net::response>> scripted_transport::send(net::request r) {
    auto asked = in_the_clear(r);
    requests_.push_back(asked);
    auto* found = find(asked, r.target);
    if (found == nullptr) {
        ADD_FAIL_CHECK_AT(__FILE__, __LINE__, "sent but not expected: " << name(asked.verb, asked.url));
        error unexpected;
        unexpected.what = "not in the script: " + name(asked.verb, asked.url);
        co_return unexpected;
    }
    found->used_ = true;
    if (found->body_)
        CHECK_MESSAGE(same_body(*found->body_, asked.body),
                      name(asked.verb, asked.url) << " with body " << asked.body << ", expected " << *found->body_);
    for (const auto& [key, value] : found->headers_)
        CHECK_MESSAGE(asked.header(key) == value, name(asked.verb, asked.url) << " header " << key);
    if (found->clock_ != nullptr)
        co_await found->clock_->sleep_for(found->wait_);
    if (found->failure_) {
        auto failure = *found->failure_;
        failure.where = asked.what;
        co_return failure;
    }
    net::response out;
    out.status = found->status_;
    out.headers = found->answer_headers_;
    out.body = secret{found->answer_};
    co_return out;
}

} // namespace postern::testing
