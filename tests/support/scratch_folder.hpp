#pragma once

#include <filesystem>
#include <stdexcept>
#include <stdlib.h>
#include <string>

// A folder for as long as this lives.
namespace postern::testing {

class scratch_folder {
public:
    scratch_folder() {
        auto pattern = (std::filesystem::temp_directory_path() / "postern-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr)
            throw std::runtime_error("no temporary folder can be made");
        at_ = pattern;
    }
    ~scratch_folder() {
        std::error_code left;
        std::filesystem::remove_all(at_, left);
    }
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;

    const std::filesystem::path& at() const { return at_; }
    std::filesystem::path operator/(const std::string& name) const { return at_ / name; }

private:
    std::filesystem::path at_;
};

} // namespace postern::testing
