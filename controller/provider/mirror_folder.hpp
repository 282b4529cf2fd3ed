#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <functional>
#include <string>

// The folder of a bare mirror, as files: whose it is, and how it is emptied to be made anew. Nothing is ever deleted
// from a folder that Postern did not make, and a folder in which something else lies besides is not one that it made.
namespace postern::provider {

// Held while the mirror is used; two processes may share one.
class mirror_folder {
public:
    // Takes the folder, which is made where it is missing. An error of kind spec where it holds anything that is not
    // ours, of kind timeout where another process holds it until `is_over`.
    static result<mirror_folder> take(const std::string& path, const std::function<bool()>& is_over);

    mirror_folder(mirror_folder&& other) noexcept;
    mirror_folder(const mirror_folder&) = delete;
    mirror_folder& operator=(const mirror_folder&) = delete;
    mirror_folder& operator=(mirror_folder&&) = delete;
    ~mirror_folder();

    const std::string& path() const { return path_; }
    // Of which repository it is a mirror; empty where it is new.
    std::string of() const;
    std::size_t packs() const;

    // Empties it, as the mirror of that repository.
    result<void> start_anew(const std::string& url);

private:
    mirror_folder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

    std::string path_;
    int lock_ = -1;
};

} // namespace postern::provider
