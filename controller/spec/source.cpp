#include "spec/source.hpp"

#include "base/text.hpp"

#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

namespace postern::spec {

namespace fs = std::filesystem;

namespace {

std::string first_line(const fs::path& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return std::string{trim(line)};
}

// The folder that holds "config": .git itself, or what a linked working tree's or a submodule's .git file leads to.
fs::path git_folder(const fs::path& top) {
    std::error_code failed;
    auto git = top / ".git";
    if (fs::is_directory(git, failed))
        return git;
    constexpr std::string_view key = "gitdir:";
    const auto line = first_line(git);
    if (!line.starts_with(key))
        return {};
    git = top / std::string{trim(std::string_view{line}.substr(key.size()))};
    const auto common = first_line(git / "commondir");
    return common.empty() ? git : git / common;
}

// The URL of the remote "origin", or "".
std::string origin_url(const fs::path& top) {
    const auto folder = git_folder(top);
    if (folder.empty())
        return {};
    std::ifstream in(folder / "config");
    bool inside = false;
    for (std::string text; std::getline(in, text);) {
        const auto line = trim(text);
        if (line.starts_with('['))
            inside = line == R"([remote "origin"])";
        const auto equals = line.find('=');
        if (inside && equals != std::string_view::npos && trim(line.substr(0, equals)) == "url")
            return std::string{trim(line.substr(equals + 1))};
    }
    return {};
}

// Of a clone's clone: a path, as seen from the top, which says nothing elsewhere.
bool is_relative_path(const std::string& url) {
    const auto colon = url.find(':');
    const bool has_host = colon != std::string::npos && colon < url.find('/');
    return !url.empty() && !has_host && !url.starts_with('/');
}

// Of the repository that is `origin` as seen from the folder `here`.
std::string repository_from(const fs::path& here, std::string origin) {
    std::error_code failed;
    if (is_relative_path(origin))
        origin = fs::weakly_canonical(here / origin, failed).string();
    return repository_name(std::move(origin));
}

std::string join_names(const std::string& repository, const fs::path& within) {
    return repository + "//" + within.string();
}

std::string name_of(const std::string& path) {
    std::error_code failed;
    auto full = fs::weakly_canonical(path.empty() ? fs::path{} : fs::absolute(path), failed);
    if (failed)
        full = fs::path(path).lexically_normal();
    if (!full.has_filename() && full.has_relative_path())
        full = full.parent_path();
    for (auto top = full; !top.empty(); top = top.parent_path()) {
        if (fs::exists(top / ".git", failed)) {
            const auto repository = repository_from(top, origin_url(top));
            return repository.empty() ? full.string() : join_names(repository, full.lexically_relative(top));
        }
        if (top == top.root_path())
            break;
    }
    return full.string();
}

} // namespace

std::string source_name(const std::vector<std::string>& paths) {
    std::set<std::string> names;
    for (const auto& path : paths)
        names.insert(name_of(path));
    return join({names.begin(), names.end()}, ",");
}

std::string source_name_in(const std::string& url, const std::string& path) {
    std::error_code failed;
    auto within = fs::path("/" + path).lexically_normal().relative_path();
    if (!within.has_filename())
        within = within.parent_path();
    return join_names(repository_from(fs::current_path(failed), url), within.empty() ? "." : within);
}

std::string repository_name(std::string url) {
    if (const auto scheme = url.find("://"); scheme != std::string::npos)
        url.erase(0, scheme + 3);
    else if (const auto colon = url.find(':'); colon != std::string::npos && colon < url.find('/'))
        url[colon] = '/';
    // A user and a key may stand before the host; they are nobody's business.
    if (const auto at = url.substr(0, url.find('/')).rfind('@'); at != std::string::npos)
        url.erase(0, at + 1);
    while (url.ends_with('/'))
        url.pop_back();
    if (url.ends_with(".git"))
        url.resize(url.size() - 4);
    return url;
}

} // namespace postern::spec
