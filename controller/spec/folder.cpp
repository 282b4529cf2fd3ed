#include "spec/folder.hpp"

#include "spec/yaml.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

namespace postern::spec {

namespace fs = std::filesystem;

namespace {

bool is_below(const fs::path& path, const fs::path& root) {
    const auto [end, unused] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
    return end == root.end();
}

bool is_hidden(const fs::path& name) {
    return name.native().starts_with('.');
}

bool has_yaml_name(const fs::path& name) {
    const auto extension = name.extension();
    return extension == ".yaml" || extension == ".yml";
}

class walk {
public:
    explicit walk(folder_contents& out) : out_(out) {}

    void start(const fs::path& path) {
        std::error_code failed;
        root_ = fs::canonical(path, failed);
        if (failed)
            return report(path, "cannot be read: " + failed.message());
        if (!fs::is_directory(root_, failed))
            return read(path);
        const auto files_before = found_;
        const bool was_seen = seen_.contains(root_.native());
        enter(path);
        if (found_ == files_before && !was_seen)
            report(path, "holds no *.yaml or *.yml file");
    }

private:
    void report(const fs::path& path, std::string message) {
        out_.problems.push_back(problem_of(path.string(), std::move(message)));
    }

    void enter(const fs::path& folder) {
        std::error_code failed;
        if (!seen_.insert(fs::canonical(folder, failed).native()).second)
            return;
        std::vector<fs::path> names;
        for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed))
            names.push_back(at->path().filename());
        if (failed)
            return report(folder, "cannot be read: " + failed.message());
        std::sort(names.begin(), names.end());
        for (const auto& name : names) {
            if (!is_hidden(name))
                visit(folder / name);
        }
    }

    void visit(const fs::path& path) {
        std::error_code failed;
        const auto is_folder = fs::is_directory(path, failed);
        if (!is_folder && !has_yaml_name(path))
            return;
        found_ += is_folder ? 0 : 1;
        const auto target = fs::canonical(path, failed);
        if (failed)
            return report(path, "cannot be read: " + failed.message());
        if (!is_below(target, root_))
            return report(path, "is a symbolic link that leads out of the folder");
        is_folder ? enter(path) : read(path);
    }

    void read(const fs::path& path) {
        std::error_code failed;
        if (!seen_.insert(fs::canonical(path, failed).native()).second)
            return;
        if (!fs::is_regular_file(path, failed))
            return report(path, "is not a file");
        std::ifstream in(path, std::ios::binary);
        if (!in)
            return report(path, "cannot be read: " + std::generic_category().message(errno));
        // No more of it than is needed to see that it is too much.
        std::string text;
        std::array<char, 16U << 10U> piece{};
        while (in && text.size() <= yaml_limits{}.bytes) {
            in.read(piece.data(), piece.size());
            text.append(piece.data(), static_cast<std::size_t>(in.gcount()));
        }
        if (in.bad())
            return report(path, "cannot be read");
        out_.files.push_back({path.string(), std::move(text)});
    }

    folder_contents& out_;
    fs::path root_;
    std::set<std::string> seen_; // canonical paths
    std::size_t found_ = 0;
};

std::string normal(const std::string& path) {
    auto normalised = fs::path(path).lexically_normal();
    if (!normalised.has_filename() && normalised.has_relative_path())
        normalised = normalised.parent_path();
    return normalised.string();
}

} // namespace

folder_contents read_files(const std::vector<std::string>& paths) {
    folder_contents out;
    walk over(out);
    for (const auto& path : paths)
        over.start(normal(path));
    return out;
}

} // namespace postern::spec
