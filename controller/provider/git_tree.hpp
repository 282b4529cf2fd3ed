#pragma once

#include "provider/git.hpp"
#include "provider/git_headers.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

// The documents of one commit, as spec/folder.hpp would find them in a checkout. For git*.cpp alone.
namespace postern::provider {

class git_tree_reader {
public:
    git_tree_reader(git_repository* repository, const std::string& path, std::size_t bytes);

    // libgit2's code. What is wrong with the tree, and not with the repository, is complaint().
    int read(const git_oid& commit);

    const std::string& complaint() const { return complaint_; }
    std::vector<git_file> take_files() { return std::move(files_); }
    std::vector<git_file> take_wrong() { return std::move(wrong_); }

private:
    int read_folder(git_tree* tree, const std::string& path, int depth);
    int read_entry(const git_tree_entry* entry, const std::string& path, int depth);
    int read_file(const git_oid& id, const std::string& path);
    int read_link(const git_oid& id, const std::string& path);
    void judge_links(git_tree* top);
    void judge_link(git_tree* top, const std::string& path, const std::string& target);

    git_repository* repository_;
    std::string path_; // "" or "a/b"
    std::size_t bytes_;
    std::size_t entries_ = 0;
    std::size_t total_ = 0;
    std::string complaint_;
    std::vector<git_file> files_;
    std::vector<git_file> wrong_;
    std::map<std::string, std::string> links_; // and where each leads
};

} // namespace postern::provider
