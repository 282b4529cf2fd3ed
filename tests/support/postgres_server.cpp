#include "support/postgres_server.hpp"

#include "base/secret.hpp"

#include <arpa/inet.h>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <grp.h>
#include <iterator>
#include <netinet/in.h>
#include <pwd.h>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace postern::testing {

namespace fs = std::filesystem;

namespace {

// The newest of the versions that are installed.
fs::path programs() {
    fs::path newest;
    std::error_code none;
    for (const auto& version : fs::directory_iterator{"/usr/lib/postgresql", none}) {
        if (fs::exists(version.path() / "bin" / "postgres") && version.path() > newest)
            newest = version.path();
    }
    if (newest.empty())
        throw std::runtime_error("there is no PostgreSQL server on this machine: install the package postgresql");
    return newest / "bin";
}

int free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0 &&
                       getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0;
    close(fd);
    if (!bound)
        throw std::runtime_error("no port is free on loopback");
    return ntohs(at.sin_port);
}

// PostgreSQL refuses root: its own user does then.
const passwd* user_for_root() {
    if (geteuid() != 0)
        return nullptr;
    const auto* user = getpwnam("postgres");
    if (user == nullptr)
        throw std::runtime_error("there is no user postgres on this machine");
    return user;
}

// The program with these arguments, its words appended to `log`. It ends when this process does.
pid_t launch(const fs::path& program, const std::vector<std::string>& arguments, const fs::path& log) {
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const auto& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const auto* user = user_for_root();
    const auto parent = getpid();
    const auto pid = fork();
    if (pid < 0)
        throw std::runtime_error("no process can be made");
    if (pid > 0)
        return pid;
    if (user != nullptr &&
        (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    const int out = open(log.c_str(), O_WRONLY | O_APPEND);
    const int in = open("/dev/null", O_RDONLY);
    if (getppid() != parent || out < 0 || in < 0 || chdir("/") != 0)
        _exit(125);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv(program.c_str(), argv.data());
    _exit(127);
}

void wait_for_listener(pid_t pid, int port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(static_cast<in_port_t>(port));
    for (bool listens = false; !listens;) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        listens = connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
        close(fd);
        if (waitpid(pid, nullptr, WNOHANG) == pid)
            throw std::runtime_error("PgBouncer does not start; it is the package pgbouncer");
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
}

std::string read(const fs::path& file) {
    std::ifstream in{file};
    return {std::istreambuf_iterator<char>{in}, {}};
}

void give(const fs::path& file, const passwd* user) {
    if (user != nullptr && chown(file.c_str(), user->pw_uid, user->pw_gid) != 0)
        throw std::runtime_error("the folder cannot be given to postgres");
}

} // namespace

postgres_server::postgres_server() : password_("pw-" + random_hex(12)), port_(free_port()) {
    give(folder_.at(), user_for_root());
    make_cluster();
    start();
}

postgres_server::~postgres_server() {
    if (pooler_ != 0) {
        kill(pooler_, SIGTERM);
        waitpid(pooler_, nullptr, 0);
    }
    if (pid_ == 0)
        return;
    thaw();
    stop();
}

void postgres_server::make_cluster() {
    const auto password_file = folder_ / "password";
    std::ofstream{password_file} << password_ << '\n';
    std::ofstream{folder_ / "log"};
    give(password_file, user_for_root());
    give(folder_ / "log", user_for_root());
    const auto pid = launch(programs() / "initdb",
                            {"-D", folder_ / "data", "-U", "postern", "-E", "UTF8", "--locale=C", "--no-sync",
                             "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile=" + password_file.string()},
                            folder_ / "log");
    int status = 0;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw std::runtime_error("initdb failed:\n" + log());
}

void postgres_server::start() {
    pid_ = launch(programs() / "postgres",
                  {"-D", folder_ / "data", "-p", std::to_string(port_), "-h", "127.0.0.1", "-k", folder_.at(), "-F",
                   "-c", "log_statement=all", "-c", "max_connections=40", "-c", "shared_buffers=8MB"},
                  folder_ / "log");
    // The server's own word for "connections are taken", in the last line of its pid file.
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (read(folder_ / "data/postmaster.pid").find("\nready") == std::string::npos) {
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) == pid_ || std::chrono::steady_clock::now() > give_up) {
            pid_ = 0;
            throw std::runtime_error("the PostgreSQL server does not start:\n" + log());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
}

void postgres_server::stop() {
    kill(pid_, SIGINT);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

// The server and its children: each session is a process.
std::vector<pid_t> postgres_server::processes() const {
    std::vector<pid_t> out{pid_};
    const auto own = std::to_string(pid_);
    std::istringstream children{read("/proc/" + own + "/task/" + own + "/children")};
    for (pid_t child = 0; children >> child;)
        out.push_back(child);
    return out;
}

void postgres_server::freeze() {
    for (const auto pid : processes())
        kill(pid, SIGSTOP);
}

void postgres_server::thaw() {
    for (const auto pid : processes())
        kill(pid, SIGCONT);
}

std::string postgres_server::make_database() {
    const auto name = "db" + std::to_string(++databases_);
    const auto pid = launch(programs() / "createdb",
                            {"-h", folder_.at(), "-p", std::to_string(port_), "-U", "postern", name}, folder_ / "log");
    int status = 0;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw std::runtime_error("no database can be made:\n" + log());
    return name;
}

std::string postgres_server::address(const std::string& database) const {
    return "postgres://postern:" + password_ + "@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string postgres_server::socket_address(const std::string& database) const {
    return "postgres:///" + database + "?user=postern&port=" + std::to_string(port_) + "&host=" + folder_.at().string();
}

std::string postgres_server::pooled_address(const std::string& database) {
    if (pooler_ == 0) {
        pooler_port_ = free_port();
        const auto settings = folder_ / "pgbouncer.ini";
        std::ofstream{settings} << "[databases]\n* = host=" << folder_.at().string() << " port=" << port_
                                << " user=postern\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << pooler_port_
                                << "\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
                                << "default_pool_size = 2\nserver_round_robin = 1\n";
        give(settings, user_for_root());
        pooler_ = launch("/usr/sbin/pgbouncer", {settings}, folder_ / "log");
        wait_for_listener(pooler_, pooler_port_);
    }
    return "postgres://anybody:ignored@127.0.0.1:" + std::to_string(pooler_port_) + "/" + database;
}

std::string postgres_server::log() const {
    return read(folder_ / "log");
}

} // namespace postern::testing
