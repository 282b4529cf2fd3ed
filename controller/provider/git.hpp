#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "provider/git_line.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

// One branch of a git repository, read through libgit2 1.5 into a bare mirror, without a work tree and without running
// a program. These calls block: they run on a thread that is not the loop's, one at a time in a process (libgit2 has
// one set of trust anchors). They end soon after git_line::cut(), except while the system looks up a host's name or
// waits for a disk.
// Errors: spec (the URL, branch, path, or what the settings name is not so), credential (the login was refused, or
// there is none), refused (a host key or certificate that is not trusted, a redirect, 404), timeout (the line was cut),
// unavailable (all else). None holds the token.
namespace postern::provider {

struct git_access {
    std::string url; // as check_git_url() takes it
    std::string branch;
    std::optional<secret> token;        // https: sent as GitHub takes it, and to this host alone, wherever it redirects
    std::optional<std::string> ca_file; // https: PEM, trust anchors beside the system's
    std::optional<std::string> https_proxy;
    std::string no_proxy;
    std::string key;         // ssh: file of an ed25519 or ECDSA key (libssh2's RSA is SHA-1, which GitHub refuses)
    std::string known_hosts; // ssh: file of the pinned host keys; without it nobody is trusted
};

struct git_file {
    std::string path; // from the top of the repository
    std::string text; // cut after one byte more than `git_wish::bytes`
};

struct git_wish {
    std::string mirror; // folder; see mirror_folder.hpp
    std::string path;   // of a folder or file in the repository; empty: the whole
    std::size_t bytes;  // of one file
};

struct git_checkout {
    std::string commit;          // 40 hex digits
    std::vector<git_file> files; // *.yaml and *.yml, in the order in which a folder's are read; at least one
    std::vector<git_file> wrong; // symbolic links that lead to what is not read, and why
};

// https://, ssh://, user@host:path, file:// or a path; with no password or token in it. An error never repeats it.
result<void> check_git_url(const std::string& url);

// The id of the branch's commit, as the remote says it; nothing is fetched.
result<std::string> git_tip(const git_access& access, git_line& line);

// Fetches and reads it. Hidden files and folders and submodules are passed over. A mirror that is broken, or has grown
// too many packs, is made anew.
result<git_checkout> git_fetch(const git_access& access, const git_wish& wish, git_line& line);

} // namespace postern::provider
