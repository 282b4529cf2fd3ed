#include "run/sql_address.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <libpq-fe.h>
#include <map>
#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

namespace postern::run {

namespace {

constexpr std::string_view forms = "a store is sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE";

error wrong_address(std::string what) {
    return {.kind = error_kind::spec, .where = "store address", .what = std::move(what), .code = {}, .retry_after = {}};
}

result<sql_address> parse_sqlite(std::string_view path) {
    if (path.empty())
        return wrong_address("sqlite: lacks a path; " + std::string{forms});
    if (path.find_first_of(std::string_view{"\"\0\n", 3}) != std::string_view::npos)
        return wrong_address("the path of a SQLite store may hold neither quotes nor line ends");
    std::error_code failed;
    const auto absolute = std::filesystem::absolute(path, failed);
    if (failed)
        return wrong_address("the path of the SQLite store cannot be made absolute: " + failed.message());
    return sql_address{sqlite_file{absolute.lexically_normal().string()}};
}

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string{} : value;
}

bool is_here(std::string_view host) {
    return host.empty() || host.front() == '/' || host.front() == '@' || host == "localhost" || host == "::1" ||
           host.starts_with("127.");
}

// Whether each server that libpq may try is on this machine: several can be named, with commas.
bool all_here(const std::map<std::string, std::string>& given) {
    auto servers = [&](const char* name, const char* variable) {
        const auto at = given.find(name);
        return at == given.end() ? from_environment(variable) : at->second;
    };
    auto hosts = servers("hostaddr", "PGHOSTADDR");
    if (hosts.empty())
        hosts = servers("host", "PGHOST");
    const auto each = split(hosts, ',');
    return std::all_of(each.begin(), each.end(), is_here);
}

// libpq itself looks at ports only when it connects.
bool are_ports(std::string_view text) {
    const auto each = split(text, ',');
    return std::all_of(each.begin(), each.end(), [](std::string_view port) {
        unsigned value = 0;
        const auto* end = port.data() + port.size();
        const auto [stopped, failed] = std::from_chars(port.data(), end, value);
        return port.empty() || (failed == std::errc{} && stopped == end && value > 0 && value < 65536);
    });
}

// Of the settings that libpq itself looks at only when it connects: the words that it takes.
const std::map<std::string, std::vector<std::string>>& words_of_settings() {
    static const std::vector<std::string> wishes{"disable", "prefer", "require"};
    static const std::vector<std::string> versions{"", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
    static const std::map<std::string, std::vector<std::string>> all{
        {"sslmode", {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}},
        {"channel_binding", wishes},
        {"gssencmode", wishes},
        {"ssl_min_protocol_version", versions},
        {"ssl_max_protocol_version", versions},
        {"target_session_attrs", {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}}};
    return all;
}

bool is_whole_number(std::string_view text) {
    int value = 0;
    const auto* end = text.data() + text.size();
    const auto [stopped, failed] = std::from_chars(text.data(), end, value);
    return failed == std::errc{} && stopped == end;
}

// What is wrong with these settings; empty where libpq will take them. Their values are not repeated: one may be part
// of a password that was not written as an address wants it.
std::string wrong_setting(const std::map<std::string, std::string>& given) {
    if (given.contains("port") && !are_ports(given.at("port")))
        return "its port is not a number from 1 to 65535";
    for (const auto& [name, words] : words_of_settings()) {
        const auto at = given.find(name);
        if (at != given.end() && std::find(words.begin(), words.end(), at->second) == words.end())
            return "its " + name + " is none of " + join(words, ", ");
    }
    for (const auto* name : {"connect_timeout", "tcp_user_timeout", "keepalives", "keepalives_idle",
                             "keepalives_interval", "keepalives_count"}) {
        const auto at = given.find(name);
        if (at != given.end() && !is_whole_number(at->second))
            return "its " + std::string{name} + " is not a whole number";
    }
    return {};
}

std::string quoted(const std::string& value) {
    std::string out = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\')
            out += '\\';
        out += c;
    }
    return out + "'";
}

std::string shown(const std::map<std::string, std::string>& given) {
    auto part = [&](const char* name, const std::string& before) {
        const auto at = given.find(name);
        return at == given.end() || at->second.empty() ? std::string{} : before + at->second;
    };
    const auto host = part("host", "");
    return "postgres://" + (host.empty() ? part("hostaddr", "") : host) + part("port", ":") + part("dbname", "/");
}

result<sql_address> parse_postgres(const std::string& address) {
    char* why = nullptr;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed{PQconninfoParse(address.c_str(), &why),
                                                                              PQconninfoFree};
    PQfreemem(why); // it repeats the address
    if (!parsed)
        return wrong_address(
            "it is not an address as libpq takes it (is a special character in the password not written as "
            "%XX?); " +
            std::string{forms});
    std::map<std::string, std::string> given;
    postgres_server out;
    for (const auto* option = parsed.get(); option->keyword != nullptr; ++option) {
        if (option->val == nullptr)
            continue;
        given[option->keyword] = option->val;
        // libpq marks with '*' what a form would not show.
        if (option->dispchar[0] == '*' && option->val[0] != '\0')
            out.secrets.emplace_back(option->val);
    }
    if (const auto what = wrong_setting(given); !what.empty())
        return wrong_address(what + "; " + std::string{forms} + ", with settings behind a ?");
    out.shown = shown(given);
    if (!all_here(given) && from_environment("PGSSLMODE").empty())
        given.try_emplace("sslmode", "require");
    // A server that is gone without a word is noticed in seconds.
    given.try_emplace("connect_timeout", "5");
    given.try_emplace("tcp_user_timeout", "5000");
    given.try_emplace("keepalives_idle", "5");
    given.try_emplace("keepalives_interval", "2");
    given.try_emplace("keepalives_count", "2");
    given.try_emplace("client_encoding", "UTF8");
    given.try_emplace("fallback_application_name", "postern");
    for (const auto& [name, value] : given)
        out.settings += name + "=" + quoted(value) + " ";
    return sql_address{std::move(out)};
}

} // namespace

result<sql_address> parse_sql_address(const std::string& address) {
    constexpr std::string_view sqlite = "sqlite:";
    if (address.starts_with(sqlite))
        return parse_sqlite(std::string_view{address}.substr(sqlite.size()));
    if (address.starts_with("postgres://") || address.starts_with("postgresql://"))
        return parse_postgres(address);
    return wrong_address(std::string{forms});
}

std::string describe(const sql_address& at) {
    if (const auto* file = std::get_if<sqlite_file>(&at))
        return "store sqlite:" + file->path;
    return "store " + std::get<postgres_server>(at).shown;
}

} // namespace postern::run
