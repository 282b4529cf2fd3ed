#include "provider/infisical.hpp"

#include "base/text.hpp"
#include "net/json.hpp"
#include "net/wiping.hpp"
#include "provider/infisical_session.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace postern::provider {

namespace json = boost::json;
namespace wire = net::json;
using boost::asio::awaitable;
using call = infisical_call;

namespace {

constexpr std::string_view placeholder = "<hidden-by-infisical>";

// "/MooseQuest/cloudflare": the server repairs a slash too many, not one too few.
std::string folder_path(std::string_view path) {
    path = trim(path);
    while (path.ends_with('/'))
        path.remove_suffix(1);
    std::string out{path};
    return out.starts_with('/') ? out : "/" + out;
}

struct folder_name {
    std::string parent;
    std::string name;
};

folder_name split_folder(const std::string& path) {
    auto slash = path.rfind('/');
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

infisical::entry read_entry(const json::value& from) {
    infisical::entry out;
    out.key = wire::text(from, "secretKey");
    out.version = static_cast<int>(wire::number(from, "version").value_or(0));
    auto value = wire::secret_text(from, "secretValue");
    out.hidden = wire::flag(from, "secretValueHidden").value_or(false) || !value || value->reveal() == placeholder;
    if (!out.hidden)
        out.value = std::move(*value);
    return out;
}

std::string folder_words(const std::string& path, const std::string& environment) {
    return "folder " + path + " does not exist in environment " + environment + ", or there is no such environment";
}

std::vector<std::pair<std::string, std::string>> in_folder(const std::string& path, const std::string& environment) {
    // One name of the imports' switch is v3's, the other v4's; a server drops the one it does not know.
    return {{"environment", environment},
            {"secretPath", path},
            {"expandSecretReferences", "false"},
            {"include_imports", "false"},
            {"includeImports", "false"}};
}

call change(net::method verb, const std::string& path, const std::string& key, const std::string& environment) {
    call c{.verb = verb,
           .family = &secrets_routes,
           .below = "/" + net::percent_encode(key),
           .object = "secret " + key + " in " + path,
           .repeatable = net::repeat::once};
    c.body.emplace("environment", environment);
    c.body.emplace("secretPath", path);
    c.body.emplace("type", "shared");
    return c;
}

// An answer to a write: what was written, or waits for approval.
result<infisical::written> written_of(const result<json::value>& got, const std::string& what, const std::string& path,
                                      const std::string& environment) {
    if (!got) {
        auto e = got.error();
        if (is_folder_missing(e))
            e.what = folder_words(path, environment) + "; " + e.what;
        return e;
    }
    if (wire::find(*got, "approval") != nullptr)
        return infisical::written::awaiting_approval;
    if (wire::find(*got, "secret") != nullptr)
        return infisical::written::stored;
    return failure(error_kind::ambiguous, what, "the answer says neither that it is stored nor that it waits");
}

} // namespace

infisical::infisical(net::transport& transport, net::clock& clock, place where, login with)
    : session_(std::make_unique<session>(transport, clock, std::move(where), std::move(with))) {}

infisical::~infisical() = default;
infisical::infisical(infisical&&) noexcept = default;

void infisical::use(login with) {
    session_->use(std::move(with));
}

std::optional<duration> infisical::skew() const {
    return session_->skew;
}

awaitable<result<std::vector<infisical::entry>>> infisical::list(std::string path) {
    path = folder_path(path);
    call c{.family = &secrets_routes,
           .object = "secrets in " + path,
           .query = in_folder(path, session_->where.environment)};
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    std::vector<entry> out;
    if (!got && is_folder_missing(got.error()))
        co_return std::move(out);
    if (!got)
        co_return got.error();
    const auto* items = wire::find(*got, "secrets");
    if (items == nullptr || !items->is_array())
        co_return failure(error_kind::unavailable, what, "the answer has no list of secrets");
    for (const auto& item : items->get_array()) {
        // A person's own override of a name is nobody else's value.
        if (wire::text(item, "type") != "personal")
            out.push_back(read_entry(item));
    }
    co_return std::move(out);
}

awaitable<result<bool>> infisical::folder_exists(std::string path) {
    path = folder_path(path);
    if (path == "/")
        co_return true;
    auto folder = split_folder(path);
    call c{.family = &folder_routes,
           .object = "folders in " + folder.parent,
           .query = {{"environment", session_->where.environment}, {"path", folder.parent}}};
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    if (!got && is_folder_missing(got.error()))
        co_return false;
    if (!got)
        co_return got.error();
    const auto* items = wire::find(*got, "folders");
    if (items == nullptr || !items->is_array())
        co_return failure(error_kind::unavailable, what, "the answer has no list of folders");
    const auto& all = items->get_array();
    co_return std::any_of(all.begin(), all.end(),
                          [&](const json::value& item) { return wire::text(item, "name") == folder.name; });
}

awaitable<result<void>> infisical::create_folder(std::string path) {
    path = folder_path(path);
    if (path == "/")
        co_return result<void>{};
    auto folder = split_folder(path);
    call c{.verb = net::method::post, .family = &folder_routes, .object = "folder " + path};
    c.body.emplace("environment", session_->where.environment);
    c.body.emplace("name", folder.name);
    c.body.emplace("path", folder.parent);
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    if (!got)
        co_return got.error();
    if (wire::find(*got, "folder") == nullptr)
        co_return failure(error_kind::refused, what,
                          wire::find(*got, "approval") != nullptr
                              ? "a change policy holds the new folder back until somebody approves it"
                              : "the answer does not say that the folder exists");
    co_return result<void>{};
}

awaitable<result<std::optional<infisical::entry>>> infisical::read(std::string path, std::string key) {
    path = folder_path(path);
    call c{.family = &secrets_routes,
           .below = "/" + net::percent_encode(key),
           .object = "secret " + key + " in " + path,
           .query = in_folder(path, session_->where.environment)};
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    if (!got && is_secret_missing(got.error()))
        co_return std::optional<entry>{};
    if (!got) {
        auto e = got.error();
        if (is_folder_missing(e))
            e.what = folder_words(path, session_->where.environment) + "; " + e.what;
        co_return e;
    }
    const auto* found = wire::find(*got, "secret");
    if (found == nullptr || wire::text(*found, "secretKey") != key)
        co_return failure(error_kind::unavailable, what, "the answer is not that secret");
    co_return std::optional{read_entry(*found)};
}

awaitable<result<infisical::written>> infisical::create(std::string path, std::string key, secret value,
                                                        std::string comment) {
    path = folder_path(path);
    const auto& environment = session_->where.environment;
    auto c = change(net::method::post, path, key, environment);
    c.body.emplace("secretValue", value.reveal());
    if (!comment.empty())
        c.body.emplace("secretComment", comment);
    c.value = std::move(value);
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    co_return written_of(got, what, path, environment);
}

awaitable<result<infisical::written>> infisical::update(std::string path, std::string key, secret value) {
    path = folder_path(path);
    const auto& environment = session_->where.environment;
    auto c = change(net::method::patch, path, key, environment);
    c.compared = true;
    c.body.emplace("secretValue", value.reveal());
    c.value = std::move(value);
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    auto done = written_of(got, what, path, environment);
    if (!done && is_secret_missing(done.error())) {
        auto e = done.error();
        e.kind = error_kind::conflict;
        co_return e;
    }
    co_return done;
}

awaitable<result<infisical::written>> infisical::remove(std::string path, std::string key) {
    path = folder_path(path);
    const auto& environment = session_->where.environment;
    auto c = change(net::method::delete_, path, key, environment);
    c.compared = true;
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    auto done = written_of(got, what, path, environment);
    if (!done && (is_secret_missing(done.error()) || is_folder_missing(done.error())))
        co_return written::stored;
    co_return done;
}

secret as_stored(std::string_view value) {
    // What JavaScript's trim() takes off: ASCII blanks and these code points, here in UTF-8.
    constexpr std::array<std::string_view, 25> blanks{" ",
                                                      "\t",
                                                      "\n",
                                                      "\v",
                                                      "\f",
                                                      "\r",
                                                      "\xc2\xa0",
                                                      "\xe1\x9a\x80",
                                                      "\xe2\x80\x80",
                                                      "\xe2\x80\x81",
                                                      "\xe2\x80\x82",
                                                      "\xe2\x80\x83",
                                                      "\xe2\x80\x84",
                                                      "\xe2\x80\x85",
                                                      "\xe2\x80\x86",
                                                      "\xe2\x80\x87",
                                                      "\xe2\x80\x88",
                                                      "\xe2\x80\x89",
                                                      "\xe2\x80\x8a",
                                                      "\xe2\x80\xa8",
                                                      "\xe2\x80\xa9",
                                                      "\xe2\x80\xaf",
                                                      "\xe2\x81\x9f",
                                                      "\xe3\x80\x80",
                                                      "\xef\xbb\xbf"};
    bool newline = value.ends_with('\n');
    auto front = [&](std::string_view blank) { return value.starts_with(blank); };
    auto back = [&](std::string_view blank) { return value.ends_with(blank); };
    const auto* at = std::find_if(blanks.begin(), blanks.end(), front);
    for (; at != blanks.end(); at = std::find_if(blanks.begin(), blanks.end(), front))
        value.remove_prefix(at->size());
    at = std::find_if(blanks.begin(), blanks.end(), back);
    for (; at != blanks.end(); at = std::find_if(blanks.begin(), blanks.end(), back))
        value.remove_suffix(at->size());
    net::wiping_buffer out(value.begin(), value.end());
    if (newline)
        out.push_back('\n');
    return secret{{out.data(), out.size()}};
}

} // namespace postern::provider
