#pragma once

#include "cloud/cloud.hpp"
#include "net/clock.hpp"
#include "net/transport.hpp"

#include <string>
#include <string_view>
#include <vector>

// The miniature cloud without sockets, as a transport and a clock: hosts of the vendors go to their services, every
// other host to the edge. A reply that a fault loses comes out as the real transport would say it.
namespace postern::testing {

class cloud_transport final : public net::transport {
public:
    explicit cloud_transport(testcloud::cloud& all) : all_(all) {}

    boost::asio::awaitable<result<net::response>> send(net::request r) override {
        auto outcome = all_.serve(translate(r));
        if (outcome.how != testcloud::fate::answer) {
            error lost;
            lost.kind = r.repeatable == net::repeat::once ? error_kind::ambiguous : error_kind::unavailable;
            lost.where = r.what;
            lost.what = "the reply was lost";
            co_return lost;
        }
        net::response out;
        out.status = outcome.answer.status;
        for (const auto& f : outcome.answer.headers)
            out.headers.emplace_back(f.name, f.value);
        out.body = secret{outcome.answer.body};
        co_return out;
    }

private:
    static testcloud::service service_of(std::string_view origin) {
        if (origin == "https://api.cloudflare.com")
            return testcloud::service::cloudflare;
        if (origin == "https://app.infisical.com")
            return testcloud::service::infisical;
        if (origin == "https://api.heroku.com")
            return testcloud::service::heroku;
        return testcloud::service::edge;
    }

    static testcloud::request translate(const net::request& r) {
        std::vector<testcloud::field> headers{{"Host", r.origin.substr(r.origin.find("//") + 2)},
                                              {"User-Agent", "postern/test"}};
        for (const auto& h : r.headers)
            headers.push_back({h.name, std::string{h.value.reveal()}});
        return testcloud::make_request(service_of(r.origin), std::string{net::to_string(r.verb)}, r.target,
                                       std::move(headers), std::string{r.body.reveal()});
    }

    testcloud::cloud& all_;
};

class cloud_clock final : public net::clock {
public:
    explicit cloud_clock(testcloud::cloud& all) : all_(all) {}

    instant now() const override { return all_.time.now(); }
    boost::asio::awaitable<void> sleep_for(duration d) override {
        all_.advance_to(all_.time.now() + d);
        co_return;
    }

private:
    testcloud::cloud& all_;
};

} // namespace postern::testing
