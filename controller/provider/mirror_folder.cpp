#include "provider/mirror_folder.hpp"

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string_view>
#include <sys/file.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace postern::provider {

namespace fs = std::filesystem;

namespace {

// Says whose the folder is, and of what; its lock as well.
constexpr const char* marker = "postern-mirror";

error unusable(error_kind kind, const std::string& path, std::string what) {
    return failure(kind, "git mirror " + path, std::move(what));
}

// What a bare repository consists of.
bool belongs(const fs::path& name) {
    static const std::set<std::string> known{marker,     "HEAD",        "FETCH_HEAD", "config",      "description",
                                             "hooks",    "info",        "logs",       "objects",     "refs",
                                             "branches", "packed-refs", "ORIG_HEAD",  "gitdescribe", "shallow"};
    const auto& text = name.native();
    return known.contains(text) || (text.ends_with(".lock") && known.contains(text.substr(0, text.size() - 5)));
}

result<void> check_ours(const std::string& path) {
    std::error_code failed;
    bool any = false;
    std::string foreign;
    for (fs::directory_iterator at(path, failed), end; !failed && at != end; at.increment(failed)) {
        any = true;
        if (!belongs(at->path().filename()))
            foreign = at->path().filename().string();
    }
    if (failed)
        return unusable(error_kind::spec, path, "cannot be read: " + failed.message());
    if (any && !fs::is_regular_file(fs::path(path) / marker, failed))
        return unusable(error_kind::spec, path, "is not empty and no mirror of Postern's: name another folder");
    if (!foreign.empty())
        return unusable(error_kind::spec, path,
                        "holds \"" + foreign +
                            "\", which is no part of a mirror: take it away, or name another folder");
    return {};
}

} // namespace

result<mirror_folder> mirror_folder::take(const std::string& path, const std::function<bool()>& is_over) {
    if (path.empty())
        return unusable(error_kind::spec, "", "no folder is named for it");
    std::error_code failed;
    fs::create_directories(path, failed);
    if (failed)
        return unusable(error_kind::spec, path, "cannot be made: " + failed.message());
    auto ours = check_ours(path);
    if (!ours)
        return ours.error();
    const auto file = (fs::path(path) / marker).string();
    const int lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return unusable(error_kind::spec, path, "cannot be written: " + std::generic_category().message(errno));
    mirror_folder out{path, lock};
    while (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (is_over())
            return unusable(error_kind::timeout, path, "another process uses it all the time");
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    return out;
}

mirror_folder::mirror_folder(mirror_folder&& other) noexcept : path_(std::move(other.path_)), lock_(other.lock_) {
    other.lock_ = -1;
}

mirror_folder::~mirror_folder() {
    if (lock_ >= 0)
        ::close(lock_);
}

std::string mirror_folder::of() const {
    std::ifstream in(fs::path(path_) / marker);
    std::string line;
    std::getline(in, line);
    return line;
}

std::size_t mirror_folder::packs() const {
    std::error_code failed;
    std::size_t count = 0;
    for (fs::directory_iterator at(fs::path(path_) / "objects/pack", failed), end; !failed && at != end;
         at.increment(failed))
        count += at->path().extension() == ".pack" ? 1 : 0;
    return count;
}

result<void> mirror_folder::start_anew(const std::string& url) {
    auto ours = check_ours(path_);
    if (!ours)
        return ours;
    std::error_code failed;
    for (fs::directory_iterator at(path_, failed), end; !failed && at != end; at.increment(failed)) {
        std::error_code not_removed;
        if (at->path().filename() != marker)
            fs::remove_all(at->path(), not_removed);
        if (not_removed)
            failed = not_removed;
    }
    if (failed)
        return unusable(error_kind::unavailable, path_, "cannot be emptied: " + failed.message());
    std::ofstream out(fs::path(path_) / marker, std::ios::trunc);
    out << url << '\n';
    if (!out.flush())
        return unusable(error_kind::unavailable, path_, "cannot be written: " + std::generic_category().message(errno));
    return {};
}

} // namespace postern::provider
