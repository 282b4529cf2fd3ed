#pragma once

#include <mutex>
#include <string>

// The connection that one libgit2 call has open, so that another thread can end it: libgit2 1.5 waits in connect and
// read for ever. Its sockets are made here, for https and ssh alike.
namespace postern::provider {

class git_line {
public:
    // From any thread: whoever waits on the connection goes on at once with an error, and no other is opened.
    void cut();
    bool is_cut() const;

    // False where it was cut already.
    bool hold(int descriptor);
    void let_go();

private:
    mutable std::mutex lock_;
    int descriptor_ = -1;
    bool cut_ = false;
};

// Makes libgit2 open its connections on the line of the thread that calls it. False where this is another libgit2 than
// the one whose streams are known; then a call that hangs can only be left behind.
bool use_git_lines();

// The line of this thread, as long as it lives.
class on_git_line {
public:
    explicit on_git_line(git_line& line);
    on_git_line(const on_git_line&) = delete;
    on_git_line& operator=(const on_git_line&) = delete;
    ~on_git_line();
};

} // namespace postern::provider
