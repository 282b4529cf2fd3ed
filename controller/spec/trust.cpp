#include "spec/trust.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

namespace postern::spec {

namespace {

struct web_address {
    std::string scheme;
    std::string host; // lower case; an IPv6 address in brackets
    std::string port; // empty: the scheme's own
};

error refusal(std::string what) {
    return failure(error_kind::spec, {}, std::move(what));
}

bool is_made_of(std::string_view text, std::string_view set) {
    return !text.empty() && text.find_first_not_of(set) == std::string_view::npos;
}

bool is_port(std::string_view text) {
    int port = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
    return is_made_of(text, "0123456789") && failed == std::errc{} && port > 0 && port < 65536;
}

bool is_host(std::string_view host) {
    if (host.starts_with('[') && host.ends_with(']'))
        return is_made_of(host.substr(1, host.size() - 2), "0123456789abcdef:.");
    if (!is_made_of(host, "abcdefghijklmnopqrstuvwxyz0123456789-_."))
        return false;
    const auto labels = split(host, '.');
    return std::none_of(labels.begin(), labels.end(), [](std::string_view label) { return label.empty(); });
}

result<web_address> parse_address(std::string_view url) {
    const auto bad = [] { return refusal("must be an https URL without user, query or fragment"); };
    web_address out;
    auto rest = url;
    for (std::string_view scheme : {"https", "http"}) {
        if (lower(url).starts_with(std::string(scheme) + "://")) {
            out.scheme = scheme;
            rest.remove_prefix(scheme.size() + 3);
            break;
        }
    }
    if (out.scheme.empty() || rest.find_first_of("?#@\\ ") != std::string_view::npos)
        return bad();
    auto authority = rest.substr(0, rest.find('/'));
    const auto after_bracket = authority.rfind(']');
    const auto colon = authority.find(':', after_bracket == std::string_view::npos ? 0 : after_bracket);
    out.host = lower(authority.substr(0, colon));
    if (colon != std::string_view::npos) {
        out.port = authority.substr(colon + 1);
        if (!is_port(out.port))
            return bad();
    }
    if (!is_host(out.host))
        return bad();
    if (out.port == (out.scheme == "https" ? "443" : "80"))
        out.port.clear();
    return out;
}

std::string to_string(const web_address& address) {
    return address.scheme + "://" + address.host + (address.port.empty() ? "" : ":" + address.port);
}

// 127.0.0.0/8 in its usual form, ::1 and localhost.
bool is_loopback(std::string_view host) {
    if (host == "localhost" || host == "[::1]")
        return true;
    const auto parts = split(host, '.');
    return parts.size() == 4 && parts[0] == "127" && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
               return part.size() <= 3 && is_made_of(part, "0123456789");
           });
}

bool is_vendors_own(const web_address& address, vendor who) {
    if (address.scheme != "https" || !address.port.empty())
        return false;
    switch (who) {
    case vendor::cloudflare:
        return address.host == "api.cloudflare.com";
    case vendor::heroku:
        return address.host == "api.heroku.com";
    case vendor::infisical:
        break;
    }
    return address.host == "infisical.com" || address.host.ends_with(".infisical.com");
}

std::string_view own_domain(vendor who) {
    switch (who) {
    case vendor::cloudflare:
        return "api.cloudflare.com";
    case vendor::heroku:
        return "api.heroku.com";
    case vendor::infisical:
        break;
    }
    return "infisical.com and its subdomains";
}

bool has_dot_segment(std::string_view path) {
    const auto parts = split(path, '/');
    return std::any_of(parts.begin(), parts.end(), [](std::string_view part) { return part == ".." || part == "."; });
}

} // namespace

result<std::string> origin_of(std::string_view url) {
    auto address = parse_address(url);
    if (!address)
        return address.error();
    return to_string(*address);
}

result<std::string> allowed_url(std::string_view url, vendor who, const load_options& options) {
    const auto address = parse_address(url);
    if (!address)
        return address.error();
    if (has_dot_segment(url))
        return refusal("must be a URL without dot segments");
    const auto loopback = is_loopback(address->host);
    if (address->scheme == "http" && !loopback)
        return refusal("must be an https URL: plain http is for loopback only");
    const auto is_named = std::any_of(options.allow_origin.begin(), options.allow_origin.end(), [&](const auto& named) {
        const auto allowed = origin_of(named);
        return allowed && *allowed == to_string(*address);
    });
    if (!loopback && !is_named && !is_vendors_own(*address, who))
        return refusal("this origin is neither " + std::string(own_domain(who)) +
                       " over https nor loopback; others need --allow-origin");
    return std::string(url.substr(0, url.find_last_not_of('/') + 1));
}

result<std::string> allowed_env(std::string_view name, const load_options& options) {
    constexpr std::array<std::string_view, 4> prefixes{"CLOUDFLARE_", "INFISICAL_", "HEROKU_", "POSTERN_"};
    const auto is_ours = std::any_of(prefixes.begin(), prefixes.end(), [&](auto p) { return name.starts_with(p); });
    const auto is_named =
        std::any_of(options.allow_env.begin(), options.allow_env.end(), [&](std::string_view allowed) {
            return allowed.ends_with('*') ? name.starts_with(allowed.substr(0, allowed.size() - 1)) : name == allowed;
        });
    if (is_ours || is_named)
        return std::string(name);
    return refusal("only names that begin with CLOUDFLARE_, INFISICAL_, HEROKU_ or POSTERN_ are read; others need "
                   "--allow-env");
}

result<std::string> allowed_file(std::string_view path, const load_options& options) {
    namespace fs = std::filesystem;
    if (options.secrets_dir.empty())
        return refusal("no file is read without --secrets-dir");
    if (has_dot_segment(path))
        return refusal("must be a path without dot segments");
    auto base = fs::path(options.secrets_dir).lexically_normal();
    if (!base.has_filename())
        base = base.parent_path();
    // Joining an absolute path gives that path itself.
    const auto full = (base / fs::path(path)).lexically_normal();
    const auto below = full.lexically_relative(base);
    if (below.empty() || below == "." || *below.begin() == ".." || !full.has_filename())
        return refusal("must be a file below the folder of --secrets-dir");
    return full.string();
}

result<std::string> allowed_app(std::string_view name, const load_options& options) {
    if (is_allowed(options.only_apps, name))
        return std::string(name);
    return refusal("is none of the apps that this Postern may touch (--only-apps)");
}

result<std::string> allowed_folder(std::string_view path, const load_options& options) {
    const auto& only = options.only_folders;
    const auto is_within = [&](std::string_view root) {
        if (root.empty())
            return false;
        root = root.substr(0, root.find_last_not_of('/') + 1);
        return path == root || (path.starts_with(root) && path.substr(root.size()).starts_with('/'));
    };
    if (only.empty() || std::any_of(only.begin(), only.end(), is_within))
        return std::string(path);
    return refusal("is in none of the vault folders that this Postern may use (--only-folders)");
}

} // namespace postern::spec
