#include "provider/git_remote.hpp"

#include "base/text.hpp"
#include "net/http.hpp"
#include "net/proxy.hpp"
#include "provider/known_hosts.hpp"
#include "provider/words.hpp"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sys/mman.h>
#include <unistd.h>

namespace postern::provider {

namespace {

constexpr const char* system_anchors = "/etc/ssl/certs/ca-certificates.crt";
constexpr std::string_view status_words = "unexpected http status code: ";

bool is_https(const std::string& url) {
    return lower(url.substr(0, 8)) == "https://";
}

std::optional<std::string> content_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in)
        return {};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    return in.bad() ? std::nullopt : std::optional{std::move(text)};
}

// Host and port of an ssh URL of either form.
std::pair<std::string, int> ssh_address(const std::string& url) {
    constexpr int default_port = 22;
    const auto scheme = url.find("://");
    auto rest = scheme == std::string::npos ? url : url.substr(scheme + 3);
    if (scheme == std::string::npos)
        rest = rest.substr(0, rest.find(':', rest.rfind(']') == std::string::npos ? 0 : rest.rfind(']')));
    rest = rest.substr(0, rest.find('/'));
    rest = rest.substr(rest.rfind('@') + 1);
    const auto bracket = rest.rfind(']');
    const auto colon = rest.find(':', bracket == std::string::npos ? 0 : bracket);
    auto host = rest.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    return {host, colon == std::string::npos ? default_port : std::atoi(rest.c_str() + colon + 1)};
}

// No configuration but the mirror's own, nobody's home.
bool start_library() {
    if (git_libgit2_init() < 0)
        return false;
    for (const int level :
         {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_PROGRAMDATA})
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    // A repository's owner matters to who runs its hooks and filters. Nothing of it is run here.
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    use_git_lines();
    return true;
}

std::timed_mutex& turns() {
    static std::timed_mutex one_at_a_time;
    return one_at_a_time;
}

} // namespace

git_call::git_call(const git_access& access, git_line& line, std::string what)
    : access_(access), line_(line), where_(std::move(what) + " " + access.url) {}

error git_call::failed(error_kind kind, std::string what) const {
    error e;
    e.kind = kind;
    e.where = where_;
    e.what = std::move(what);
    return e;
}

std::string git_call::words(std::string_view text) const {
    std::vector<secret> known;
    if (access_.token)
        known.push_back(access_.token->copy());
    return struck(trim(text), known);
}

result<void> git_call::begin() {
    turn_ = std::unique_lock{turns(), std::defer_lock};
    while (!turn_.try_lock_for(std::chrono::milliseconds{50})) {
        if (line_.is_cut())
            return failed(error_kind::timeout, "an earlier call has not ended yet");
    }
    static const bool started = start_library();
    if (!started)
        return failed(error_kind::bug, "libgit2 does not start");
    on_line_.emplace(line_);
    return trust();
}

// libgit2 takes one set of anchors: the system's and the caller's are put together, on no disk.
result<void> git_call::trust() {
    static std::string set; // what the file held that was set last
    if (!is_https(access_.url))
        return {};
    std::string more;
    if (access_.ca_file) {
        auto text = content_of(*access_.ca_file);
        if (!text || text->find("-----BEGIN CERTIFICATE-----") == std::string::npos)
            return failed(error_kind::spec, "no trust anchors could be read from " + *access_.ca_file +
                                                ": it must be a readable PEM file of certificates");
        more = std::move(*text);
    }
    if (more == set)
        return {};
    const auto all = content_of(system_anchors).value_or("") + "\n" + more;
    const int file = ::memfd_create("trust-anchors", MFD_CLOEXEC);
    const auto path = "/proc/self/fd/" + std::to_string(file);
    std::ofstream{path, std::ios::binary} << all;
    const int code = git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, path.c_str(), nullptr);
    ::close(file);
    if (code < 0)
        return failed(error_kind::spec, "the trust anchors cannot be used: " + failure(code).what);
    set = std::move(more);
    return {};
}

git_proxy_options git_call::proxy() {
    git_proxy_options out{};
    git_proxy_options_init(&out, GIT_PROXY_OPTIONS_VERSION);
    if (!access_.https_proxy || !is_https(access_.url))
        return out;
    const auto origin = net::parse_origin(access_.url.substr(0, access_.url.find('/', 8)));
    if (!origin || net::bypasses_proxy(access_.no_proxy, *origin))
        return out;
    proxy_url_ =
        access_.https_proxy->find("://") == std::string::npos ? "http://" + *access_.https_proxy : *access_.https_proxy;
    out.type = GIT_PROXY_SPECIFIED;
    out.url = proxy_url_.c_str();
    return out;
}

git_remote_callbacks git_call::callbacks() {
    git_remote_callbacks out{};
    git_remote_init_callbacks(&out, GIT_REMOTE_CALLBACKS_VERSION);
    out.credentials = give_login;
    out.certificate_check = check_host;
    out.transfer_progress = see_progress;
    out.sideband_progress = see_words;
    out.payload = this;
    return out;
}

git_fetch_options git_call::fetch_options() {
    git_fetch_options out{};
    git_fetch_options_init(&out, GIT_FETCH_OPTIONS_VERSION);
    out.callbacks = callbacks();
    out.proxy_opts = proxy();
    out.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    out.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    return out;
}

result<void> git_call::connect(git_remote* remote) {
    git_remote_connect_options how{};
    git_remote_connect_options_init(&how, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
    how.callbacks = callbacks();
    how.proxy_opts = proxy();
    how.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    if (const int code = git_remote_connect_ext(remote, GIT_DIRECTION_FETCH, &how); code < 0)
        return failure(code);
    return {};
}

result<git_oid> git_call::tip(git_remote* remote) {
    const git_remote_head** heads = nullptr;
    std::size_t count = 0;
    if (const int code = git_remote_ls(&heads, &count, remote); code < 0)
        return failure(code);
    constexpr std::string_view folder = "refs/heads/";
    std::vector<std::string> branches;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string_view name = heads[i]->name;
        if (!name.starts_with(folder))
            continue;
        if (name.substr(folder.size()) == access_.branch)
            return heads[i]->oid;
        branches.push_back(printable(name.substr(folder.size())));
    }
    if (branches.empty())
        return failed(error_kind::spec, "the repository has no branch at all");
    const auto near = nearest(access_.branch, branches);
    constexpr std::size_t most = 5;
    const bool more = branches.size() > most;
    branches.resize(std::min(branches.size(), most));
    return failed(error_kind::spec, "there is no branch \"" + printable(access_.branch) + "\"" +
                                        (near ? ", did you mean \"" + *near + "\"?"
                                              : ": there are " + join(branches, ", ") + (more ? ", …" : "")));
}

bool git_call::is_remote(int code) const {
    const auto* last = git_error_last();
    const int from = last == nullptr ? GIT_ERROR_NONE : last->klass;
    return line_.is_cut() || stopped_ || code == GIT_EAUTH || code == GIT_ECERTIFICATE || from == GIT_ERROR_NET ||
           from == GIT_ERROR_SSL || from == GIT_ERROR_HTTP || from == GIT_ERROR_SSH || from == GIT_ERROR_OS;
}

error git_call::failure(int code) const {
    if (stopped_)
        return *stopped_;
    if (line_.is_cut())
        return failed(error_kind::timeout, "no answer in time");
    const auto* last = git_error_last();
    const auto said = words(last == nullptr || last->message == nullptr ? "libgit2 gives no reason" : last->message);
    if (code == GIT_EAUTH)
        return failed(error_kind::credential, "the remote refused the login: " + said);
    if (code == GIT_ECERTIFICATE)
        return failed(error_kind::refused,
                      said + "; a private authority is made known with --ca-file, and names count, not addresses");
    if (said.find("redirect") != std::string::npos)
        return failed(error_kind::refused, "the remote is elsewhere by now (" + said +
                                               "), and nobody is followed to another host: write its new URL");
    if (offered_ && said.find("private key") != std::string::npos)
        return failed(error_kind::credential, "the key file " + access_.key + " cannot be used: " + said);
    const auto at = said.find(status_words);
    if (at == std::string::npos)
        return failed(error_kind::unavailable, said);
    const int status = std::atoi(said.c_str() + at + status_words.size());
    auto e = failed(error_kind::unavailable, "HTTP status " + std::to_string(status));
    e.status = status;
    if (status == 401 || status == 403)
        e.kind = error_kind::credential;
    else if (status == 429)
        e.kind = error_kind::throttled;
    else if (status == 404) {
        e.kind = error_kind::refused;
        e.what += ": there is no such repository, or the token may not read it";
    }
    return e;
}

int git_call::stop_with(error_kind kind, std::string what) {
    git_error_set_str(GIT_ERROR_CALLBACK, what.c_str());
    stopped_ = failed(kind, std::move(what));
    return GIT_EUSER;
}

int git_call::give_login(git_credential** out, const char*, const char* user, unsigned int allowed, void* self) {
    auto& call = *static_cast<git_call*>(self);
    if (call.line_.is_cut())
        return call.stop_with(error_kind::timeout, "no answer in time");
    if (is_https(call.access_.url)) {
        if ((allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) != 0)
            return call.give_token(out);
        return call.stop_with(error_kind::credential, "the remote wants another login than a token");
    }
    if ((allowed & GIT_CREDENTIAL_USERNAME) != 0)
        return git_credential_username_new(out, "git");
    if ((allowed & GIT_CREDENTIAL_SSH_KEY) != 0)
        return call.give_key(out, user == nullptr ? "git" : user);
    return call.stop_with(error_kind::credential, "the remote takes no key for this user");
}

int git_call::give_token(git_credential** out) {
    if (!access_.token)
        return stop_with(error_kind::credential, "the remote wants a login, and no token is set for it");
    if (offered_)
        return stop_with(error_kind::credential,
                         "the remote refused the token: is it expired, or may it not read this?");
    offered_ = true;
    std::string text{access_.token->reveal()};
    const int code = git_credential_userpass_plaintext_new(out, "x-access-token", text.c_str());
    wipe(text);
    return code;
}

int git_call::give_key(git_credential** out, const char* user) {
    if (access_.key.empty())
        return stop_with(error_kind::credential, "the remote wants a login, and no key file is named for it");
    if (offered_)
        return stop_with(error_kind::credential, "the remote refused the key in " + access_.key);
    if (!std::ifstream{access_.key})
        return stop_with(error_kind::credential, "the key file " + access_.key + " cannot be read");
    offered_ = true;
    return git_credential_ssh_key_new(out, user, nullptr, access_.key.c_str(), nullptr);
}

int git_call::check_host(git_cert* certificate, int, const char*, void* self) {
    auto& call = *static_cast<git_call*>(self);
    // libgit2 has judged a TLS certificate itself.
    if (certificate->cert_type != GIT_CERT_HOSTKEY_LIBSSH2)
        return GIT_PASSTHROUGH;
    const auto& shown = *reinterpret_cast<git_cert_hostkey*>(certificate);
    if ((shown.type & GIT_CERT_SSH_RAW) == 0)
        return call.stop_with(error_kind::refused, "the host shows no key that can be compared");
    const std::string_view key{shown.hostkey, shown.hostkey_len};
    const auto& file = call.access_.known_hosts;
    const auto its = "its key is " + host_key_type(key) + " " + host_key_fingerprint(key);
    if (file.empty())
        return call.stop_with(error_kind::refused,
                              "no file of known hosts is named, so that no host is trusted; " + its);
    const auto text = content_of(file);
    if (!text)
        return call.stop_with(error_kind::refused, "the file of known hosts " + file + " cannot be read; " + its);
    const auto [host, port] = ssh_address(call.access_.url);
    const auto verdict = find_host_key(*text, host, port, key);
    switch (verdict.is) {
    case host_key::known:
        return 0;
    case host_key::revoked:
        return call.stop_with(error_kind::refused, "the host's key is revoked in " + file + "; " + its);
    case host_key::unknown_host:
        return call.stop_with(error_kind::refused, "the host is not in " + file + "; " + its);
    case host_key::other_key:
        break;
    }
    return call.stop_with(error_kind::refused, "the host shows another key than " + file + " holds for it (" +
                                                   join(verdict.pinned, ", ") + "); " + its);
}

int git_call::see_progress(const git_indexer_progress*, void* self) {
    return static_cast<git_call*>(self)->line_.is_cut() ? GIT_EUSER : 0;
}

int git_call::see_words(const char*, int, void* self) {
    return static_cast<git_call*>(self)->line_.is_cut() ? GIT_EUSER : 0;
}

result<void> check_git_url(const std::string& url) {
    auto bad = [](std::string what) {
        error e;
        e.kind = error_kind::spec;
        e.where = "the repository's URL";
        e.what = std::move(what);
        return e;
    };
    constexpr std::string_view forms = "https://, ssh://, user@host:path, file:// or a path";
    if (url.empty())
        return bad("is empty: write " + std::string{forms});
    for (const char c : url) {
        if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
            return bad("has a space or a control character in it");
    }
    const auto scheme_end = url.find("://");
    const auto slash = url.find('/');
    const auto colon = url.find(':');
    if (scheme_end == std::string::npos) {
        const bool is_path = colon == std::string::npos || slash < colon;
        if (!is_path && url.substr(colon, slash - colon).find('@') != std::string::npos)
            return bad("has a password in it: the login comes from a key file");
        return {};
    }
    const auto scheme = lower(url.substr(0, scheme_end));
    const auto authority = url.substr(scheme_end + 3, url.find('/', scheme_end + 3) - scheme_end - 3);
    const auto at = authority.rfind('@');
    if (scheme == "https") {
        if (at != std::string::npos)
            return bad("has a user, password or token in it: the token has a source of its own");
        if (url.find_first_of("?#") != std::string::npos)
            return bad("has a query or fragment in it");
        if (!net::parse_origin("https://" + authority))
            return bad("has no host that can be reached");
        return {};
    }
    if (scheme == "ssh") {
        if (at != std::string::npos && authority.substr(0, at).find(':') != std::string::npos)
            return bad("has a password in it: the login comes from a key file");
        return {};
    }
    if (scheme == "file")
        return {};
    return bad("has a scheme that is not taken: write " + std::string{forms});
}

} // namespace postern::provider
