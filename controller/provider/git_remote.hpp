#pragma once

#include "provider/git.hpp"
#include "provider/git_headers.hpp"

#include <mutex>
#include <string>
#include <string_view>

// The remote's end of a call: login, trust, and what its failures mean. For git*.cpp alone.
namespace postern::provider {

class git_call {
public:
    // All outlive this object.
    git_call(const git_access& access, git_line& line, std::string what);
    git_call(const git_call&) = delete;
    git_call& operator=(const git_call&) = delete;

    // libgit2 ready, its trust anchors those of this call, nobody else in it.
    result<void> begin();
    result<void> connect(git_remote* remote);
    // What the connected remote says that the branch is.
    result<git_oid> tip(git_remote* remote);
    git_fetch_options fetch_options();

    // What libgit2's last failure means.
    error failure(int code) const;
    // Whether that failure is the remote's or the network's, not the mirror's.
    bool is_remote(int code) const;
    error failed(error_kind kind, std::string what) const;

private:
    static int give_login(git_credential** out, const char* url, const char* user, unsigned int allowed, void* self);
    static int check_host(git_cert* certificate, int valid, const char* host, void* self);
    static int see_progress(const git_indexer_progress* progress, void* self);
    static int see_words(const char* words, int size, void* self);

    git_remote_callbacks callbacks();
    git_proxy_options proxy();
    result<void> trust();
    int give_token(git_credential** out);
    int give_key(git_credential** out, const char* user);
    int stop_with(error_kind kind, std::string what);
    std::string words(std::string_view text) const;

    const git_access& access_;
    git_line& line_;
    std::string where_;
    std::string proxy_url_;
    std::optional<error> stopped_; // by a callback
    bool offered_ = false;
    std::unique_lock<std::timed_mutex> turn_;
    std::optional<on_git_line> on_line_;
};

} // namespace postern::provider
