#pragma once

// libgit2, for the files git*.cpp of this folder alone.
#include <git2.h>
#include <git2/sys/stream.h>
#include <memory>

namespace postern::provider {

struct git_freed {
    void operator()(git_repository* p) const { git_repository_free(p); }
    void operator()(git_remote* p) const { git_remote_free(p); }
    void operator()(git_commit* p) const { git_commit_free(p); }
    void operator()(git_object* p) const { git_object_free(p); }
    void operator()(git_tree* p) const { git_tree_free(p); }
    void operator()(git_tree_entry* p) const { git_tree_entry_free(p); }
    void operator()(git_blob* p) const { git_blob_free(p); }
    void operator()(git_odb* p) const { git_odb_free(p); }
    void operator()(git_reference* p) const { git_reference_free(p); }
};

template<class T>
using git_pointer = std::unique_ptr<T, git_freed>;

} // namespace postern::provider
