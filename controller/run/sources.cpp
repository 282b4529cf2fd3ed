#include "run/sources.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace postern::run {

namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t largest_file = 64U << 10U;

error missing(const domain::value_source& from, std::string_view why) {
    return {error_kind::credential, describe(from), std::string{why}, 0, {}, {}};
}

secret without_newline(secret value) {
    auto text = value.reveal();
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.remove_suffix(1);
    return text.size() == value.size() ? std::move(value) : secret{text};
}

bool is_inside(const fs::path& path, const fs::path& folder) {
    auto relative = path.lexically_relative(folder);
    return !relative.empty() && *relative.begin() != ".." && relative != ".";
}

result<secret> read_file(const std::string& secrets_dir, const std::string& path) {
    auto wrong = [&](std::string_view why) {
        return error{error_kind::credential, "file " + path, std::string{why}, 0, {}, {}};
    };
    if (secrets_dir.empty())
        return wrong("files are read only below --secrets-dir, which is not set");
    std::error_code failed;
    auto root = fs::canonical(secrets_dir, failed);
    if (failed)
        return wrong("--secrets-dir: " + failed.message());
    auto real = fs::canonical(path, failed);
    if (failed)
        return wrong(failed.message());
    if (!is_inside(real, root))
        return wrong("it does not lie below --secrets-dir");
    if (!fs::is_regular_file(real, failed) || fs::file_size(real, failed) > largest_file)
        return wrong("it is not a file of at most 64 KiB");
    std::ifstream in{real, std::ios::binary};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (!in)
        return wrong("it cannot be read");
    return secret::consume(text);
}

} // namespace

reach reach_of_process(std::string secrets_dir) {
    reach process;
    process.env = [](const std::string& name) -> std::optional<secret> {
        const char* value = std::getenv(name.c_str());
        return value != nullptr ? std::optional<secret>{secret{value}} : std::nullopt;
    };
    process.file = [dir = std::move(secrets_dir)](const std::string& path) { return read_file(dir, path); };
    return process;
}

std::string describe(const domain::value_source& from) {
    struct words {
        std::string operator()(const domain::from_env& at) const { return "environment variable " + at.name; }
        std::string operator()(const domain::from_file& at) const { return "file " + at.path; }
        std::string operator()(const domain::from_vault& at) const {
            return "key " + at.key + " in " + at.path + " of vault " + at.vault;
        }
    };
    return std::visit(words{}, from);
}

result<secret> sources::from_vault(const domain::from_vault& at) const {
    auto list = lists_.find({at.vault, at.path});
    if (list == lists_.end())
        return missing(at, "the vault's folder was not read");
    if (list->second.has_error())
        return list->second.error();
    const provider::infisical::entry* found = nullptr;
    for (const auto& entry : list->second.value()) {
        if (entry.key != at.key)
            continue;
        if (found != nullptr)
            return missing(at, "it stands there more than once");
        found = &entry;
    }
    if (found == nullptr)
        return missing(at, "there is no such key");
    if (found->hidden)
        return missing(at, "the vault shows that it exists, but not its value: the identity may not read it");
    return found->value.copy();
}

result<secret> sources::read(const domain::value_source& from) const {
    result<secret> value = error{};
    if (const auto* env = std::get_if<domain::from_env>(&from)) {
        auto found = process_.env(env->name);
        if (!found)
            return missing(from, "is not set");
        value = std::move(*found);
    } else if (const auto* file = std::get_if<domain::from_file>(&from)) {
        value = process_.file(file->path);
    } else {
        value = from_vault(std::get<domain::from_vault>(from));
    }
    if (value.has_error())
        return value;
    auto trimmed = without_newline(std::move(value.value()));
    if (trimmed.empty())
        return missing(from, "is empty");
    return trimmed;
}

result<std::string> sources::read(const domain::text_value& from) const {
    if (const auto* literal = std::get_if<std::string>(&from))
        return *literal;
    auto value = read(std::get<domain::value_source>(from));
    if (value.has_error())
        return value.error();
    return std::string{value.value().reveal()};
}

} // namespace postern::run
