#pragma once

#include "spec/load.hpp"

#include <string>
#include <vector>

// Small sets of documents for tests of the loader: a fine one, and what is said about others.
namespace postern::spec_test {

inline const std::string account = R"(apiVersion: postern/v1alpha1
kind: CloudflareAccount
metadata: {name: raxx}
spec:
  accountId: 023e105f4ecef8ad9ca31a8372d0c353
  apiToken: {env: CLOUDFLARE_TOKEN}
  applications: ["*.raxx.app"]
)";

inline const std::string vault = R"(apiVersion: postern/v1alpha1
kind: InfisicalVault
metadata: {name: infisical}
spec:
  projectId: p-1
  environment: prod
  auth: {token: {env: INFISICAL_TOKEN}}
  vendorPaths: {cloudflare: /shop/cloudflare}
  statePath: /shop/postern
)";

inline const std::string heroku = R"(apiVersion: postern/v1alpha1
kind: HerokuAccount
metadata: {name: heroku}
spec:
  apiKey: {env: HEROKU_API_KEY}
  apps: ["shop-*"]
)";

// A document of which the body (its metadata's closing line on) is given.
inline std::string document(const std::string& kind, const std::string& name, const std::string& spec) {
    return "apiVersion: postern/v1alpha1\nkind: " + kind + "\nmetadata: {name: " + name + "}\nspec: " + spec + "\n";
}

inline std::string token(const std::string& name, const std::string& more = "", const std::string& key = "KEY") {
    return document("ServiceToken", name, "{credential: {key: " + key + "}" + (more.empty() ? "" : ", " + more) + "}");
}

// A set of documents in one text, with one of each kind.
inline std::string all_documents() {
    const auto binding = document("AccessBinding", "b", "{tokens: [t], applications: [{domain: a.raxx.app}]}");
    const auto delivery = document("HerokuBinding", "d", "{token: t, apps: [shop-a], adopt: true}");
    return account + "---\n" + vault + "---\n" + heroku + "---\n" + token("t", "duration: 8760h") + "---\n" + binding +
           "---\n" + delivery;
}

// Each document in a file of its own: "1.yaml" and so on.
inline spec::loaded load_documents(const std::vector<std::string>& documents, const spec::load_options& options = {}) {
    std::vector<spec::spec_file> files;
    for (const auto& one : documents)
        files.push_back({std::to_string(files.size() + 1) + ".yaml", one});
    return spec::load(files, "test", options);
}

// What is said, each as "message [path]", suggestions included.
inline std::vector<std::string> said(const std::vector<std::string>& documents,
                                     const spec::load_options& options = {}) {
    std::vector<std::string> out;
    for (auto p : load_documents(documents, options).problems) {
        p.file.clear();
        p.line = 0;
        out.push_back(spec::to_string(p));
    }
    return out;
}

} // namespace postern::spec_test
