#include "cloud/harbour.hpp"

namespace postern::testcloud {

harbour::harbour(boost::asio::io_context& io, cloud& what, harbour_options options)
    : cloud_(what), control_(what), authority_(options.tls ? std::make_unique<authority>() : nullptr) {
    auto port = options.first_port;
    for (auto to : {service::cloudflare, service::infisical, service::heroku, service::edge, service::control}) {
        const bool plain = to == service::control || !authority_;
        auto handle = [this, to](const request& r) {
            if (to == service::control)
                return outcome{control_.serve(r), fate::answer, {}, {}};
            return cloud_.serve(r);
        };
        servers_.push_back(std::make_unique<server>(io, to, handle, port, plain ? nullptr : &authority_->context()));
        if (port != 0)
            ++port;
    }
}

std::string harbour::origin(service of) const {
    const bool plain = of == service::control || !authority_;
    return std::string{plain ? "http" : "https"} +
           "://127.0.0.1:" + std::to_string(servers_[static_cast<std::size_t>(of)]->port());
}

json::object harbour::first_line() const {
    const auto& e = cloud_.example;
    return {{"cloudflare", cloudflare_url()},
            {"infisical", origin(service::infisical)},
            {"heroku", origin(service::heroku)},
            {"edge", origin(service::edge)},
            {"control", origin(service::control)},
            {"accountId", cloud_.access.account_id},
            {"apiToken", e.api_token},
            {"infisicalClientId", e.client_id},
            {"infisicalClientSecret", e.client_secret},
            {"projectId", cloud_.vault.project_id},
            {"projectSlug", cloud_.vault.project_slug},
            {"environment", e.environment},
            {"herokuApiKey", e.heroku_key},
            {"herokuApp", e.heroku_app},
            {"appId", e.app_id},
            {"appHost", e.app_host}};
}

void harbour::stop() {
    for (auto& s : servers_)
        s->stop();
}

} // namespace postern::testcloud
