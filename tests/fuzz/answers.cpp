#include "provider/cloudflare.hpp"
#include "provider/heroku.hpp"
#include "provider/infisical.hpp"
#include "support/harness.hpp"
#include "support/settable_clock.hpp"
#include "target.hpp"

#include <boost/asio/io_context.hpp>

// What the remotes answer: the first byte is the status (200 and up), the rest the body of every answer. Whatever it
// is, the clients come to an end, and no error repeats the key that went along.
namespace postern::fuzz {
namespace {

const std::string marked = "cfut_MARKEDMARKEDMARKEDMARKEDMARKED0123456789";

class same_answer final : public net::transport {
public:
    same_answer(int status, std::string_view body) : status_(status), body_(body) {}

    boost::asio::awaitable<result<net::response>> send(net::request) override {
        // A list whose every page is full would never end.
        if (++sent_ > 20) {
            error gone;
            gone.kind = error_kind::unavailable;
            gone.what = "no more answers";
            co_return gone;
        }
        net::response r;
        r.status = status_;
        r.headers = {{"content-type", "application/json"}};
        r.body = secret{body_};
        co_return r;
    }

private:
    int status_;
    std::string body_;
    int sent_ = 0;
};

template<class T>
void ask(boost::asio::io_context& io, boost::asio::awaitable<result<T>> call) {
    const auto answered = testing::run(io, std::move(call));
    if (answered.has_error())
        hold(answered.error().message().find(marked) == std::string::npos, "an error repeats no key");
}

} // namespace

void try_input(std::string_view input) {
    if (input.empty())
        return;
    const int code = static_cast<unsigned char>(input.front());
    // Printable, so that seeds can be written by hand: '2' is 200, '4' is 404; other bytes are what they are.
    const int status = code == '2' ? 200 : code == '4' ? 404 : 200 + code;
    boost::asio::io_context io;
    const auto with_wire = [&](auto use) {
        same_answer wire{status, input.substr(1)};
        use(wire);
    };
    with_wire([&](auto& wire) {
        provider::cloudflare api{wire, "https://api.cloudflare.com/client/v4", "a1", secret{marked}};
        ask(io, api.verify());
        ask(io, api.create_token("t", "8760h"));
    });
    with_wire([&](auto& wire) {
        provider::cloudflare api{wire, "https://api.cloudflare.com/client/v4", "a1", secret{marked}};
        ask(io, api.list_tokens());
    });
    with_wire([&](auto& wire) {
        provider::cloudflare api{wire, "https://api.cloudflare.com/client/v4", "a1", secret{marked}};
        ask(io, api.list_applications());
    });
    with_wire([&](auto& wire) {
        provider::heroku api{wire, "https://api.heroku.com", secret{marked}};
        ask(io, api.config_vars("raxx"));
        ask(io, api.releases("raxx", 5));
    });
    with_wire([&](auto& wire) {
        testing::settable_clock time;
        time.jump_over_sleeps();
        provider::infisical::place where;
        where.url = "https://app.infisical.com";
        where.project_id = "pid";
        where.environment = "prod";
        provider::infisical::token_login key;
        key.token = secret{marked};
        provider::infisical vault{wire, time, where, std::move(key)};
        ask(io, vault.list("/shop"));
        ask(io, vault.read("/shop", "KEY"));
    });
}

} // namespace postern::fuzz
