#include "provider/git_line.hpp"

#include "provider/git_headers.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace postern::provider {

namespace {

thread_local git_line* line_of_this_thread = nullptr;

// As libgit2 1.5 lays out its own socket streams: its ssh transport takes the descriptor from there.
struct socket_stream {
    git_stream parent;
    char* host;
    char* port;
    int descriptor;
};

constexpr auto look_up_every = std::chrono::milliseconds{200};
constexpr auto longest_connect = std::chrono::seconds{10}; // per address

int fail(const std::string& what) {
    git_error_set_str(GIT_ERROR_NET, what.c_str());
    return -1;
}

std::string words_for(int code) {
    return std::generic_category().message(code);
}

socket_stream& of(git_stream* stream) {
    return *reinterpret_cast<socket_stream*>(stream);
}

void close_socket(socket_stream& s) {
    if (s.descriptor < 0)
        return;
    if (line_of_this_thread != nullptr)
        line_of_this_thread->let_go();
    ::close(s.descriptor);
    s.descriptor = -1;
}

// Waits for a connection that was begun. 0, or the error's number.
int finish_connect(int descriptor) {
    const auto until = std::chrono::steady_clock::now() + longest_connect;
    pollfd wait{descriptor, POLLOUT, 0};
    while (::poll(&wait, 1, static_cast<int>(look_up_every.count())) <= 0) {
        if (line_of_this_thread != nullptr && line_of_this_thread->is_cut())
            return ECANCELED;
        if (std::chrono::steady_clock::now() >= until)
            return ETIMEDOUT;
    }
    int failed = 0;
    socklen_t size = sizeof failed;
    return ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failed, &size) == 0 ? failed : errno;
}

int connect_to(socket_stream& s, const addrinfo& address) {
    s.descriptor = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol);
    if (s.descriptor < 0)
        return errno;
    if (line_of_this_thread != nullptr && !line_of_this_thread->hold(s.descriptor))
        return ECANCELED;
    int failed = ::connect(s.descriptor, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
    if (failed == EINPROGRESS)
        failed = finish_connect(s.descriptor);
    if (failed == 0)
        ::fcntl(s.descriptor, F_SETFL, ::fcntl(s.descriptor, F_GETFL) & ~O_NONBLOCK);
    return failed;
}

int stream_connect(git_stream* stream) {
    auto& s = of(stream);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_family = AF_UNSPEC;
    addrinfo* all = nullptr;
    if (const int failed = ::getaddrinfo(s.host, s.port, &hints, &all); failed != 0)
        return fail(std::string{"the address of "} + s.host + " cannot be found: " + ::gai_strerror(failed));
    int failed = EADDRNOTAVAIL;
    for (const auto* at = all; at != nullptr && failed != ECANCELED; at = at->ai_next) {
        failed = connect_to(s, *at);
        if (failed == 0)
            break;
        close_socket(s);
    }
    ::freeaddrinfo(all);
    return failed == 0 ? 0 : fail("no connection to " + std::string{s.host} + ":" + s.port + ": " + words_for(failed));
}

ssize_t stream_read(git_stream* stream, void* to, size_t size) {
    for (;;) {
        const auto n = ::recv(of(stream).descriptor, to, size, 0);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return fail("the connection broke: " + words_for(errno));
    }
}

ssize_t stream_write(git_stream* stream, const char* from, size_t size, int flags) {
    for (;;) {
        const auto n = ::send(of(stream).descriptor, from, size, flags | MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return fail("the connection broke: " + words_for(errno));
    }
}

int stream_close(git_stream* stream) {
    close_socket(of(stream));
    return 0;
}

void stream_free(git_stream* stream) {
    auto& s = of(stream);
    close_socket(s);
    std::free(s.host);
    std::free(s.port);
    std::free(&s);
}

int stream_new(git_stream** out, const char* host, const char* port) {
    auto* s = static_cast<socket_stream*>(std::calloc(1, sizeof(socket_stream)));
    if (s == nullptr)
        return fail("out of memory");
    s->host = ::strdup(host);
    s->port = ::strdup(port);
    s->descriptor = -1;
    s->parent.version = GIT_STREAM_VERSION;
    s->parent.connect = stream_connect;
    s->parent.read = stream_read;
    s->parent.write = stream_write;
    s->parent.close = stream_close;
    s->parent.free = stream_free;
    *out = &s->parent;
    return 0;
}

} // namespace

void git_line::cut() {
    const std::lock_guard held{lock_};
    cut_ = true;
    if (descriptor_ >= 0)
        ::shutdown(descriptor_, SHUT_RDWR);
}

bool git_line::is_cut() const {
    const std::lock_guard held{lock_};
    return cut_;
}

bool git_line::hold(int descriptor) {
    const std::lock_guard held{lock_};
    descriptor_ = cut_ ? -1 : descriptor;
    return !cut_;
}

void git_line::let_go() {
    const std::lock_guard held{lock_};
    descriptor_ = -1;
}

bool use_git_lines() {
    int major = 0;
    int minor = 0;
    int revision = 0;
    git_libgit2_version(&major, &minor, &revision);
    if (major != 1 || minor != 5)
        return false;
    git_stream_registration ours{};
    ours.version = GIT_STREAM_VERSION;
    ours.init = stream_new;
    return git_stream_register(GIT_STREAM_STANDARD, &ours) == 0;
}

on_git_line::on_git_line(git_line& line) {
    line_of_this_thread = &line;
}

on_git_line::~on_git_line() {
    line_of_this_thread = nullptr;
}

} // namespace postern::provider
