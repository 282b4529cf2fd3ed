#pragma once

#include "cloud/cloud.hpp"

#include <string>

// A client of a cloud without sockets, for tests: each call is a whole exchange, signed with the example's credentials.
namespace postern::testcloud {

class caller {
public:
    explicit caller(cloud& to) : cloud_(to) {}

    // `path` below /client/v4/accounts/<id>/access, as in "/service_tokens".
    reply cloudflare(std::string method, const std::string& path, const json::value& body = nullptr) {
        return send(service::cloudflare, std::move(method),
                    "/client/v4/accounts/" + cloud_.access.account_id + "/access" + path,
                    {{"Authorization", "Bearer " + cloud_.example.api_token}}, body);
    }
    // The `result` of a Cloudflare call that succeeds.
    json::value result_of(std::string method, const std::string& path, const json::value& body = nullptr) {
        return cloudflare(std::move(method), path, body).parsed().at("result");
    }
    reply vault(std::string method, const std::string& target, const json::value& body = nullptr) {
        if (vault_token_.empty())
            log_in();
        return send(service::infisical, std::move(method), target, {{"Authorization", "Bearer " + vault_token_}}, body);
    }
    // A secret of the example's folder over v3 raw.
    reply secret(std::string method, const std::string& name, const json::value& value = nullptr) {
        const std::string target = "/api/v3/secrets/raw" + (name.empty() ? "" : "/" + name);
        if (method == "GET")
            return vault("GET", target + "?" + place());
        json::object body{{"workspaceId", cloud_.vault.project_id},
                          {"environment", "prod"},
                          {"secretPath", "/MooseQuest/cloudflare"}};
        if (!value.is_null())
            body["secretValue"] = value;
        return vault(std::move(method), target, body);
    }
    std::string place() const {
        return "workspaceId=" + cloud_.vault.project_id + "&environment=prod&secretPath=%2FMooseQuest%2Fcloudflare";
    }
    reply log_in() {
        json::object body{{"clientId", cloud_.example.client_id}, {"clientSecret", cloud_.example.client_secret}};
        auto answer = send(service::infisical, "POST", "/api/v1/auth/universal-auth/login", {}, body);
        if (answer.status == 200)
            vault_token_ = answer.parsed().at("accessToken").as_string().c_str();
        return answer;
    }
    reply heroku(std::string method, const std::string& target, const json::value& body = nullptr,
                 std::vector<field> headers = {}) {
        headers.push_back({"Authorization", "Bearer " + cloud_.example.heroku_key});
        headers.push_back({"Accept", "application/vnd.heroku+json; version=3"});
        return send(service::heroku, std::move(method), target, std::move(headers), body);
    }
    reply visit(const std::string& host, const std::optional<credential>& shown = std::nullopt,
                const std::string& path = "/health", std::vector<field> headers = {}) {
        headers.push_back({"Host", host});
        headers.push_back({"User-Agent", "test/1"});
        if (shown) {
            headers.push_back({"CF-Access-Client-Id", shown->client_id});
            headers.push_back({"CF-Access-Client-Secret", shown->secret});
        }
        return send(service::edge, "GET", path, std::move(headers), nullptr);
    }
    // A token, and the credential that its reply showed.
    struct minted {
        std::string id;
        credential shown;
        std::string value() const { return shown.client_id + ":" + shown.secret; }
    };
    minted mint(const std::string& name, const std::string& duration_text = "8760h") {
        const auto made = result_of("POST", "/service_tokens", {{"name", name}, {"duration", duration_text}});
        return {made.at("id").as_string().c_str(),
                {made.at("client_id").as_string().c_str(), made.at("client_secret").as_string().c_str()}};
    }
    // An app-scoped Service Auth policy for that token on the example's application; its id.
    std::string admit(const std::string& token_id, const std::string& app_id = {}) {
        json::object body{{"name", "machines"}, {"decision", "non_identity"}};
        body["include"] = json::array{{{"service_token", {{"token_id", token_id}}}}};
        const auto& app = app_id.empty() ? cloud_.example.app_id : app_id;
        return result_of("POST", "/apps/" + app + "/policies", body).at("id").as_string().c_str();
    }
    reply send(service to, std::string method, std::string target, std::vector<field> headers,
               const json::value& body) {
        headers.push_back({"Content-Type", "application/json"});
        last = cloud_.serve(make_request(to, std::move(method), std::move(target), std::move(headers),
                                         body.is_null() ? "" : json::serialize(body)));
        return last.answer;
    }

    outcome last;

private:
    cloud& cloud_;
    std::string vault_token_;
};

} // namespace postern::testcloud
