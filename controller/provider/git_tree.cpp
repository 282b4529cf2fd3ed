#include "provider/git_tree.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <filesystem>

namespace postern::provider {

namespace fs = std::filesystem;

namespace {

// A tree may name itself a thousand times over; these are far beyond what anybody writes by hand.
constexpr int deepest = 32;
constexpr std::size_t most_entries = 100'000;
constexpr std::size_t most_files = 10'000;
constexpr std::size_t most_bytes = std::size_t{64} << 20U;

bool has_yaml_name(const std::string& path) {
    return path.ends_with(".yaml") || path.ends_with(".yml");
}

bool is_below(const std::string& path, const std::string& folder) {
    return folder.empty() || path == folder || path.starts_with(folder + "/");
}

bool has_hidden_part(const fs::path& path) {
    return std::any_of(path.begin(), path.end(),
                       [](const fs::path& part) { return part.native().starts_with('.') && part != "."; });
}

// "a/b" for "./a//b/"; ".." does not lead out.
std::string normal(const std::string& path) {
    auto out = fs::path("/" + path).lexically_normal().relative_path();
    if (!out.has_filename())
        out = out.parent_path();
    return out.string();
}

} // namespace

git_tree_reader::git_tree_reader(git_repository* repository, const std::string& path, std::size_t bytes)
    : repository_(repository), path_(normal(path)), bytes_(bytes) {}

int git_tree_reader::read(const git_oid& id) {
    git_commit* found = nullptr;
    if (const int code = git_commit_lookup(&found, repository_, &id); code < 0)
        return code;
    const git_pointer<git_commit> commit{found};
    git_tree* tree = nullptr;
    if (const int code = git_commit_tree(&tree, commit.get()); code < 0)
        return code;
    const git_pointer<git_tree> top{tree};
    int code = 0;
    if (path_.empty()) {
        code = read_folder(top.get(), "", 0);
    } else {
        git_tree_entry* entry = nullptr;
        code = git_tree_entry_bypath(&entry, top.get(), path_.c_str());
        const git_pointer<git_tree_entry> start{entry};
        if (code == GIT_ENOTFOUND) {
            complaint_ = "there is no \"" + path_ + "\" in it";
            return 0;
        }
        if (code < 0)
            return code;
        const auto type = git_tree_entry_type(start.get());
        if (type == GIT_OBJECT_TREE)
            code = read_entry(start.get(), path_, 0);
        else if (type == GIT_OBJECT_BLOB && git_tree_entry_filemode(start.get()) != GIT_FILEMODE_LINK)
            code = read_file(*git_tree_entry_id(start.get()), path_);
        else
            complaint_ = "\"" + path_ + "\" is a symbolic link or a submodule: name the folder itself";
    }
    if (code < 0 || !complaint_.empty())
        return code;
    judge_links(top.get());
    if (files_.empty())
        complaint_ = (path_.empty() ? "the repository" : "\"" + path_ + "\"") +
                     std::string{" holds no *.yaml or *.yml file; nothing is changed because of that"};
    return 0;
}

int git_tree_reader::read_folder(git_tree* tree, const std::string& path, int depth) {
    if (depth > deepest) {
        complaint_ = "folders lie more than " + std::to_string(deepest) + " deep in each other";
        return 0;
    }
    std::vector<std::pair<std::string, const git_tree_entry*>> entries;
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
        const auto* entry = git_tree_entry_byindex(tree, i);
        entries.emplace_back(git_tree_entry_name(entry), entry);
    }
    std::sort(entries.begin(), entries.end());
    for (const auto& [name, entry] : entries) {
        if (++entries_ > most_entries)
            complaint_ = "more than " + std::to_string(most_entries) + " files and folders";
        if (!complaint_.empty())
            return 0;
        if (name.starts_with('.'))
            continue;
        const int code = read_entry(entry, path.empty() ? name : path + "/" + name, depth + 1);
        if (code < 0)
            return code;
    }
    return 0;
}

int git_tree_reader::read_entry(const git_tree_entry* entry, const std::string& path, int depth) {
    const auto& id = *git_tree_entry_id(entry);
    switch (git_tree_entry_filemode(entry)) {
    case GIT_FILEMODE_TREE: {
        git_tree* found = nullptr;
        if (const int code = git_tree_lookup(&found, repository_, &id); code < 0)
            return code;
        const git_pointer<git_tree> tree{found};
        return read_folder(tree.get(), path, depth);
    }
    case GIT_FILEMODE_BLOB:
    case GIT_FILEMODE_BLOB_EXECUTABLE:
        return has_yaml_name(path) ? read_file(id, path) : 0;
    case GIT_FILEMODE_LINK:
        return read_link(id, path);
    default:
        return 0;
    }
}

int git_tree_reader::read_file(const git_oid& id, const std::string& path) {
    git_odb* opened = nullptr;
    if (const int code = git_repository_odb(&opened, repository_); code < 0)
        return code;
    const git_pointer<git_odb> objects{opened};
    std::size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    if (const int code = git_odb_read_header(&size, &type, objects.get(), &id); code < 0)
        return code;
    std::string text;
    if (size > bytes_) {
        // Enough to see that it is too much; what it holds is not looked at.
        text.assign(bytes_ + 1, ' ');
    } else {
        git_blob* found = nullptr;
        if (const int code = git_blob_lookup(&found, repository_, &id); code < 0)
            return code;
        const git_pointer<git_blob> blob{found};
        text.assign(static_cast<const char*>(git_blob_rawcontent(blob.get())),
                    static_cast<std::size_t>(git_blob_rawsize(blob.get())));
    }
    total_ += text.size();
    files_.push_back({path, std::move(text)});
    if (files_.size() > most_files || total_ > most_bytes)
        complaint_ = "more than " + std::to_string(most_files) + " documents' files, or more than " +
                     std::to_string(most_bytes >> 20U) + " MiB of them";
    return 0;
}

int git_tree_reader::read_link(const git_oid& id, const std::string& path) {
    git_blob* found = nullptr;
    if (const int code = git_blob_lookup(&found, repository_, &id); code < 0)
        return code;
    const git_pointer<git_blob> blob{found};
    links_[path].assign(static_cast<const char*>(git_blob_rawcontent(blob.get())),
                        static_cast<std::size_t>(git_blob_rawsize(blob.get())));
    return 0;
}

void git_tree_reader::judge_links(git_tree* top) {
    for (const auto& [path, target] : links_)
        judge_link(top, path, target);
}

// A link to what is read under its own name needs nothing. One to anything else means a document that a checkout would
// have and this does not: that must not look as if it had left git.
void git_tree_reader::judge_link(git_tree* top, const std::string& path, const std::string& target) {
    const auto full = (fs::path(path).parent_path() / target).lexically_normal();
    auto to = full.string();
    if (to.ends_with('/'))
        to.pop_back();
    if (to == ".")
        to.clear();
    const bool leaves = full.is_absolute() || to == ".." || to.starts_with("../") || !is_below(to, path_);
    git_tree_entry* entry = nullptr;
    const bool exists = to.empty() || git_tree_entry_bypath(&entry, top, to.c_str()) == 0;
    const git_pointer<git_tree_entry> found{entry};
    const bool is_folder = exists && (!found || git_tree_entry_type(found.get()) == GIT_OBJECT_TREE);
    if (!has_yaml_name(path) && !is_folder && !full.is_absolute())
        return;
    if (leaves) {
        wrong_.push_back({path, "is a symbolic link that leads out of the folder"});
        return;
    }
    const auto within = fs::path(to).lexically_relative(path_.empty() ? "." : path_);
    const bool is_read =
        is_folder ? !has_hidden_part(within)
                  : links_.contains(to) || std::any_of(files_.begin(), files_.end(),
                                                       [&](const git_file& file) { return file.path == to; });
    if (!is_read)
        wrong_.push_back({path, "is a symbolic link to what is not read: " +
                                    std::string{exists ? "a hidden file or folder, or one of another name"
                                                       : "there is nothing there"}});
}

} // namespace postern::provider
