#include "run/folder_watch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace postern::run {

namespace fs = std::filesystem;

namespace {

constexpr int most_hops = 40; // of symbolic links, as the kernel has it
constexpr std::uint32_t names_change =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::uint32_t contents_change = names_change | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB;

bool is_hidden(const fs::path& name) {
    return name.native().starts_with('.');
}

bool has_yaml_name(const fs::path& name) {
    return name.extension() == ".yaml" || name.extension() == ".yml";
}

bool is_below(const fs::path& path, const fs::path& root) {
    const auto [end, unused] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
    return end == root.end();
}

fs::path full(const std::string& path) {
    std::error_code failed;
    auto out = fs::absolute(path, failed).lexically_normal();
    return out.has_filename() ? out : out.parent_path();
}

} // namespace

folder_watch::folder_watch(std::vector<std::string> paths)
    : paths_(std::move(paths)), inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (inotify_ < 0)
        trouble_ = "inotify cannot be had (" + std::generic_category().message(errno) + ")";
}

folder_watch::~folder_watch() {
    if (inotify_ >= 0)
        ::close(inotify_);
}

void folder_watch::watch(const fs::path& folder, std::uint32_t mask, const std::string& name) {
    if (inotify_ < 0)
        return;
    // Two paths may lead to one folder: what is asked of it adds up.
    const int id = ::inotify_add_watch(inotify_, folder.c_str(), mask | IN_MASK_ADD);
    if (id < 0) {
        // A folder that has just gone, or is none, is nothing to be watched; that its name changed is an event
        // elsewhere.
        if (errno != ENOENT && errno != ENOTDIR)
            trouble_ = "not every folder can be watched (" + folder.string() + ": " +
                       (errno == ENOSPC ? "no inotify watch is left, see fs.inotify.max_user_watches"
                                        : std::generic_category().message(errno)) +
                       ")";
        return;
    }
    auto& wanted = watched_[id];
    if (name.empty())
        wanted.all = true;
    else
        wanted.names.insert(name);
}

// Watches each step on the way and gives what it leads to; less, where something on the way is missing.
fs::path folder_watch::follow(const fs::path& path, int hops) {
    fs::path at = "/";
    for (auto part = path.begin(); part != path.end(); ++part) {
        const auto name = part->string();
        if (name.empty() || name == "/" || name == ".")
            continue;
        if (name == "..") {
            at = at.parent_path();
            continue;
        }
        const bool is_last = std::next(part) == path.end();
        watch(at, is_last ? contents_change : names_change, name);
        struct stat is {};
        if (::lstat((at / name).c_str(), &is) != 0)
            return {};
        if (!S_ISLNK(is.st_mode)) {
            at /= name;
            continue;
        }
        std::error_code failed;
        auto onward = at / fs::read_symlink(at / name, failed);
        if (failed || hops >= most_hops)
            return {};
        for (auto rest = std::next(part); rest != path.end(); ++rest)
            onward /= *rest;
        return follow(onward, hops + 1);
    }
    return at;
}

std::string folder_watch::look() {
    before_ = std::move(watched_);
    watched_.clear();
    entered_.clear();
    print_.clear();
    if (inotify_ >= 0)
        trouble_.clear();
    for (const auto& path : paths_) {
        print_ += path + '\n';
        const auto root = follow(full(path), 0);
        std::error_code failed;
        if (root.empty())
            continue;
        if (fs::is_directory(root, failed))
            enter(root, root);
        else
            note(root);
    }
    for (const auto& [id, unused] : before_) {
        if (!watched_.contains(id))
            ::inotify_rm_watch(inotify_, id);
    }
    return print_;
}

void folder_watch::enter(const fs::path& folder, const fs::path& root) {
    std::error_code failed;
    const auto real = fs::canonical(folder, failed);
    if (failed || !entered_.insert(real.native()).second)
        return;
    // Watched first, listed then: what comes in between is in the list, or an event, or both.
    watch(real, contents_change, "");
    std::vector<fs::path> names;
    for (fs::directory_iterator at(real, failed), end; !failed && at != end; at.increment(failed))
        names.push_back(at->path().filename());
    if (failed)
        print_ += "? " + real.string() + ": " + failed.message() + '\n';
    std::sort(names.begin(), names.end());
    for (const auto& name : names) {
        if (!is_hidden(name))
            visit(real / name, root);
    }
}

void folder_watch::visit(const fs::path& path, const fs::path& root) {
    std::error_code failed;
    auto target = path;
    if (fs::is_symlink(path, failed)) {
        target = follow(path, 0);
        print_ += path.string() + " -> " + target.string() + '\n';
        if (target.empty() || !is_below(target, root))
            return;
    }
    if (fs::is_directory(target, failed))
        enter(target, root);
    else if (has_yaml_name(path))
        note(target);
}

void folder_watch::note(const fs::path& path) {
    struct stat is {};
    if (::stat(path.c_str(), &is) != 0) {
        print_ += "? " + path.string() + '\n';
        return;
    }
    print_ += path.string();
    for (const auto number :
         {static_cast<std::uint64_t>(is.st_dev), static_cast<std::uint64_t>(is.st_ino),
          static_cast<std::uint64_t>(is.st_mode), static_cast<std::uint64_t>(is.st_size),
          static_cast<std::uint64_t>(is.st_mtim.tv_sec), static_cast<std::uint64_t>(is.st_mtim.tv_nsec),
          static_cast<std::uint64_t>(is.st_ctim.tv_sec), static_cast<std::uint64_t>(is.st_ctim.tv_nsec)})
        print_ += ' ' + std::to_string(number);
    print_ += '\n';
}

bool folder_watch::take_events() {
    bool any = false;
    bool folders_changed = false;
    alignas(inotify_event) std::array<char, 16384> bytes{};
    for (;;) {
        const auto size = ::read(inotify_, bytes.data(), bytes.size());
        if (size <= 0)
            break;
        for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
            inotify_event event{};
            std::memcpy(&event, bytes.data() + at, sizeof event);
            const std::string name = event.len == 0 ? "" : bytes.data() + at + sizeof event;
            at += sizeof event + event.len;
            const auto wanted = watched_.find(event.wd);
            const bool is_lost = (event.mask & IN_Q_OVERFLOW) != 0;
            if (!is_lost && wanted == watched_.end())
                continue;
            if (!is_lost && !wanted->second.all && !name.empty() && !wanted->second.names.contains(name))
                continue;
            any = true;
            folders_changed = folders_changed || is_lost || (event.mask & (IN_ISDIR | IN_IGNORED | IN_UNMOUNT)) != 0;
            // The kernel has let it go; the number may come again for another folder.
            if ((event.mask & IN_IGNORED) != 0)
                watched_.erase(event.wd);
        }
    }
    // A folder that is new is watched at once, so that a burst in it is one.
    if (folders_changed)
        look();
    return any;
}

} // namespace postern::run
