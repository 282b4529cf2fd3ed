#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>
#include <vector>

// What whoever may merge documents is not trusted with: to name where secrets are read from and where they are sent.
// Limits come from the flags of the process, which live outside the documents. Nothing here quotes what it refuses.
namespace postern::spec {

struct load_options {
    std::vector<std::string> allow_env;    // further names that `env` may read; a '*' at the end stands for any ending
    std::string secrets_dir;               // the only folder below which `file` may read; empty: nowhere
    std::vector<std::string> allow_origin; // further origins of APIs: "https://vault.example.com:8443"
    std::vector<std::string> only_hosts = {};   // globs of the hosts whose applications may be bound; empty: any
    std::vector<std::string> only_apps = {};    // globs of the Heroku apps that may be served; empty: any
    std::vector<std::string> only_folders = {}; // vault folders that may be used, with what is below; empty: any
    std::string source = {};                    // what the documents are called in the records; empty: see source.hpp
};

enum class vendor { cloudflare, infisical, heroku };

// The origin of a URL, lower case, the scheme's own port left out: "https://app.infisical.com". An error of kind spec
// for what is not an absolute http or https URL, or has user, query or fragment.
result<std::string> origin_of(std::string_view url);

// The URL of an API, less slashes at its end, where `who` may be reached by it.
result<std::string> allowed_url(std::string_view url, vendor who, const load_options& options);

// The name of an environment variable that may be read.
result<std::string> allowed_env(std::string_view name, const load_options& options);

// The full path of a file that may be read: absolute where secrets_dir is.
result<std::string> allowed_file(std::string_view path, const load_options& options);

// The name of a Heroku app that may be served.
result<std::string> allowed_app(std::string_view name, const load_options& options);

// A folder of the vault that may be used.
result<std::string> allowed_folder(std::string_view path, const load_options& options);

} // namespace postern::spec
