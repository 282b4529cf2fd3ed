#pragma once

#include "base/error.hpp"
#include "base/instant.hpp"
#include "base/secret.hpp"
#include "spec/load.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// Where a daemon's documents come from, and how it learns that there are others.
namespace postern::run {

struct sourced {
    spec::loaded specs;
    std::string revision; // a commit's id, or "sha256:…" of the files' names and contents
};

class spec_source {
public:
    virtual ~spec_source() = default;

    // The documents as they are now; of a repository, after a fetch. An error: they could not be had at all (no such
    // folder, a branch or path that is not there, an unreachable remote); what was in force stays so.
    virtual boost::asio::awaitable<result<sourced>> read() = 0;

    // Calls `changed` whenever there may be something new, once for a burst of changes. Runs until cancelled.
    virtual boost::asio::awaitable<void> watch(std::function<void()> changed) = 0;

    // What the operator should know about the watching ("polls every 10s, because …"); empty where all is well. It may
    // be another after each call of `changed` and of read().
    virtual std::string note() const { return {}; }
};

// Files and folders, watched with inotify. A folder that is replaced (renamed over, unmounted, a symbolic link that
// turns, as a Kubernetes ConfigMap's) is found again. `changed` comes when nothing has moved for `settle`, 2 s after
// the first event at the latest, and only where files that are read differ. What inotify does not see (a network's
// file system, something mounted over the folder) is seen within 30 s, all within 10 s where inotify has no more
// watches to give.
std::unique_ptr<spec_source> watch_folders(std::vector<std::string> paths, spec::load_options options,
                                           duration settle = std::chrono::milliseconds{200});

struct git_settings {
    std::string url; // https://, ssh://, git@host:path, file:// or a path; never with a password in it
    std::string branch = "main";
    std::string path;        // of the folder with the documents, within the repository; empty: all of it
    std::string mirror;      // folder of the bare mirror; made where it is missing, made anew where it is broken
    std::string key;         // ssh: private key file
    std::string known_hosts; // ssh: file of the pinned host keys
    std::optional<std::string> ca_file;
    std::function<result<secret>()> token; // https: read again for each fetch; none where not set
    duration poll = std::chrono::minutes{1};
    duration timeout = std::chrono::seconds{30};
    std::optional<std::string> https_proxy = {}; // as net::https_settings have them
    std::string no_proxy = {};
};

// A branch of a repository, fetched into a bare mirror by libgit2, without a work tree. A forced push is followed.
// libgit2 runs on a thread of its own, one call at a time; after `timeout` its connection is cut and the call ends.
// Where it does not (a name that the system looks up, a disk that hangs), the caller gets `timeout` all the same, that
// thread is left to end by itself, and no other is begun until it has.
// The source has the name that a clone's folder has: whoever applied from a clone goes on as the owner of the records.
std::unique_ptr<spec_source> follow_git(git_settings settings, spec::load_options options);

} // namespace postern::run
