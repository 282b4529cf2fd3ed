#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace hardening_test {

// What the running program keeps from everybody else on the machine: its memory, and a core of it.

namespace {

namespace fs = std::filesystem;

constexpr uid_t nobody = 65534;

// Root sees everything, so programs of these tests run as an ordinary user.
void become_ordinary() {
    if (geteuid() != 0)
        return;
    if (setgid(nobody) != 0 || setuid(nobody) != 0)
        _exit(126);
}

uid_t ordinary() {
    return geteuid() == 0 ? nobody : geteuid();
}

std::string read(const fs::path& file) {
    std::ifstream in{file};
    return {std::istreambuf_iterator<char>{in}, {}};
}

std::string line_of(const std::string& text, const std::string& start) {
    auto at = text.find(start);
    return at == std::string::npos ? std::string{} : text.substr(at, text.find('\n', at) - at);
}

// A program that an ordinary user runs, allowed to leave a core where it does not forbid that itself; until this goes.
class program {
public:
    program(std::vector<std::string> arguments, std::vector<std::string> environment) {
        std::array<int, 2> ends{}; // closed by the exec
        if (pipe2(ends.data(), O_CLOEXEC) != 0 || (pid_ = fork()) < 0)
            throw std::runtime_error("no process");
        if (pid_ == 0) {
            rlimit core{};
            getrlimit(RLIMIT_CORE, &core);
            core.rlim_cur = core.rlim_max;
            setrlimit(RLIMIT_CORE, &core);
            // Opened before: the build may stand in a folder that is closed to others, such as root's own.
            const int image = open(arguments.front().c_str(), O_RDONLY | O_CLOEXEC);
            become_ordinary();
            fexecve(image, pointers(arguments).data(), pointers(environment).data());
            _exit(127);
        }
        close(ends[1]);
        char byte = 0;
        while (::read(ends[0], &byte, 1) < 0 && errno == EINTR) {
        }
        close(ends[0]);
    }
    ~program() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    program(const program&) = delete;
    program& operator=(const program&) = delete;

    fs::path proc() const { return fs::path{"/proc"} / std::to_string(pid_); }
    pid_t id() const { return pid_; }

private:
    static std::vector<char*> pointers(std::vector<std::string>& texts) {
        std::vector<char*> out;
        for (auto& text : texts)
            out.push_back(text.data());
        out.push_back(nullptr);
        return out;
    }

    pid_t pid_ = -1;
};

// Whether another process of the same user can do it.
template<class Try>
bool anybody_can(Try attempt) {
    const auto pid = fork();
    if (pid == 0) {
        become_ordinary();
        _exit(attempt() ? 1 : 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status) == 1;
}

bool readable(const std::string& file) {
    return anybody_can([&] {
        const int opened = open(file.c_str(), O_RDONLY);
        char byte = 0;
        return opened >= 0 && ::read(opened, &byte, 1) == 1;
    });
}

// A server that takes connections and says nothing.
struct silent_server {
    int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = 0;

    silent_server() {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        auto* address = reinterpret_cast<sockaddr*>(&at);
        if (bind(socket, address, size) != 0 || listen(socket, 8) != 0 || getsockname(socket, address, &size) != 0)
            throw std::runtime_error("no server");
        port = ntohs(at.sin_port);
    }
    ~silent_server() { close(socket); }
    silent_server(const silent_server&) = delete;
    silent_server& operator=(const silent_server&) = delete;

    bool was_called() const {
        pollfd waiting{socket, POLLIN, 0};
        return poll(&waiting, 1, 60'000) == 1;
    }
};

} // namespace

TEST_CASE("the running program is closed to debuggers of its own user, and leaves no core") {
    auto pattern = (fs::temp_directory_path() / "postern-hard-XXXXXX").string();
    const fs::path folder = mkdtemp(pattern.data());
    chmod(folder.c_str(), 0755);
    const silent_server vault;
    std::ofstream{folder / "all.yaml"} << "apiVersion: postern/v1alpha1\nkind: InfisicalVault\nmetadata: {name: v}\n"
                                       << "spec:\n  url: http://127.0.0.1:" << vault.port
                                       << "\n  projectId: p\n  environment: prod\n"
                                       << "  auth: {token: {env: INFISICAL_TOKEN}}\n"
                                       << "  vendorPaths: {cloudflare: /c}\n  statePath: /s\n";
    {
        const program postern{{std::string{POSTERN_BINARY_DIR} + "/postern", "plan", folder.string()},
                              {"INFISICAL_TOKEN=a-token"}};
        const program other{{"/bin/sleep", "1000"}, {"OPEN=yes"}};
        REQUIRE(vault.was_called()); // it is well under way, with a key in its memory

        CHECK(line_of(read(postern.proc() / "status"), "Uid:").find(std::to_string(ordinary())) != std::string::npos);
        struct stat owned {};
        REQUIRE(stat((postern.proc() / "environ").c_str(), &owned) == 0);
        CHECK(owned.st_uid == 0); // as the kernel shows what must not be dumped
        REQUIRE(stat((other.proc() / "environ").c_str(), &owned) == 0);
        CHECK(owned.st_uid == ordinary());

        CHECK(line_of(read(postern.proc() / "limits"), "Max core file size").find(" 0                    0 ") !=
              std::string::npos);

        CHECK(readable(other.proc() / "environ"));
        CHECK_FALSE(readable(postern.proc() / "environ"));
        CHECK_FALSE(readable(postern.proc() / "maps"));
        CHECK_FALSE(anybody_can([&] { return ptrace(PTRACE_ATTACH, postern.id(), nullptr, nullptr) == 0; }));
    }
    fs::remove_all(folder);
}

} // namespace hardening_test
