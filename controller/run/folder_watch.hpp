#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

// What has to be watched so that nothing about the files below some paths goes unseen, and how these files look now.
// Every folder on the way to a path is watched for the one name that matters, so that a folder that is not there yet,
// is renamed away, or is reached through symbolic links that turn, is found again.
namespace postern::run {

class folder_watch {
public:
    // Takes an inotify instance; where there is none to be had, trouble() says so.
    explicit folder_watch(std::vector<std::string> paths);
    ~folder_watch();
    folder_watch(const folder_watch&) = delete;
    folder_watch& operator=(const folder_watch&) = delete;

    // Readable when something happened; -1: no inotify.
    int descriptor() const { return inotify_; }

    // Walks the paths, watches what is there now, and tells names, sizes, times and inodes of all files that
    // spec::read_files() would read. What happens after it has passed a folder is an event.
    std::string look();

    // Takes what has happened. Whether any of it concerns the files.
    bool take_events();

    // Why not everything is watched; empty where it is.
    const std::string& trouble() const { return trouble_; }

private:
    struct interest {
        bool all = false;
        std::set<std::string> names;
    };

    void watch(const std::filesystem::path& folder, std::uint32_t mask, const std::string& name);
    std::filesystem::path follow(const std::filesystem::path& path, int hops);
    void enter(const std::filesystem::path& folder, const std::filesystem::path& root);
    void visit(const std::filesystem::path& path, const std::filesystem::path& root);
    void note(const std::filesystem::path& path);

    std::vector<std::string> paths_;
    int inotify_ = -1;
    std::map<int, interest> watched_; // by watch descriptor
    std::map<int, interest> before_;
    std::set<std::string> entered_;
    std::string print_;
    std::string trouble_;
};

} // namespace postern::run
