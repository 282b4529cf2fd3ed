#pragma once

#include "run/spec_source.hpp"
#include "support/harness.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <doctest/doctest.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

// Folders, repositories made with git, child processes, and a source that is watched: all of it real.
namespace postern::testing {

namespace fs = std::filesystem;

class scratch {
public:
    scratch() {
        auto name = (fs::temp_directory_path() / "postern-source-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        root_ = fs::canonical(name);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() { fs::remove_all(root_); }

    fs::path operator/(const std::string& name) const { return root_ / name; }
    std::string at(const std::string& name) const { return (root_ / name).string(); }
    void write(const std::string& name, const std::string& text) const {
        fs::create_directories((root_ / name).parent_path());
        std::ofstream(root_ / name) << text;
    }

private:
    fs::path root_;
};

// A document that is right on its own.
inline std::string vault(const std::string& name) {
    return "apiVersion: postern/v1alpha1\nkind: InfisicalVault\nmetadata: {name: " + name +
           "}\nspec:\n  url: https://app.infisical.com\n  projectId: p\n  environment: prod\n"
           "  auth: {token: {env: INFISICAL_TOKEN}}\n  vendorPaths: {cloudflare: /c}\n  statePath: /s\n";
}

// Output of a command that must come off.
inline std::string shell(const std::string& command) {
    auto* pipe = ::popen((command + " 2>&1").c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string out;
    std::array<char, 4096> bytes{};
    while (const auto n = std::fread(bytes.data(), 1, bytes.size(), pipe))
        out.append(bytes.data(), n);
    const int status = ::pclose(pipe);
    REQUIRE_MESSAGE(status == 0, command, "\n", out);
    while (out.ends_with('\n'))
        out.pop_back();
    return out;
}

// A bare repository as a server has it, and a working tree that pushes to it.
class repository {
public:
    explicit repository(const scratch& here) : here_(here) {
        shell("git init -q --bare -b main " + bare());
        shell("git init -q -b main " + tree() + " && git -C " + tree() + " remote add origin " + bare());
    }

    std::string bare() const { return here_.at("srv/infra.git"); }
    std::string tree() const { return here_.at("tree"); }
    std::string git(const std::string& arguments) const {
        return shell("GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null git -C " + tree() +
                     " -c user.name=t -c user.email=t@example.com -c commit.gpgsign=false " + arguments);
    }
    void write(const std::string& name, const std::string& text) const { here_.write("tree/" + name, text); }
    // Commits what is there and pushes it; gives the commit's id.
    std::string push(const std::string& how = "") const {
        git("add -A");
        git("commit -q --allow-empty -m change");
        git("push -q " + how + " origin HEAD:main");
        return git("rev-parse HEAD");
    }

private:
    const scratch& here_;
};

// A process that goes with its owner. Its input ends then; `asks_politely` sends SIGTERM as well.
class child {
public:
    explicit child(const std::vector<std::string>& command, bool asks_politely = false) : polite_(asks_politely) {
        std::array<int, 2> in{};
        std::array<int, 2> out{};
        REQUIRE(::pipe2(in.data(), O_CLOEXEC) == 0);
        REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
        std::vector<char*> words;
        for (const auto& word : command)
            words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGTERM);
            ::dup2(in[0], 0);
            ::dup2(out[1], 1);
            ::execvp(words[0], words.data());
            ::_exit(127);
        }
        ::close(in[0]);
        ::close(out[1]);
        in_ = in[1];
        out_ = out[0];
    }
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child() {
        ::close(in_);
        ::close(out_);
        if (polite_)
            ::kill(pid_, SIGTERM);
        ::waitpid(pid_, nullptr, 0);
    }

    std::string line() const {
        std::string text;
        for (char c = 0; ::read(out_, &c, 1) == 1 && c != '\n';)
            text += c;
        return text;
    }

private:
    bool polite_;
    pid_t pid_ = -1;
    int in_ = -1;
    int out_ = -1;
};

// A source on a loop of its own.
class followed {
public:
    explicit followed(std::unique_ptr<run::spec_source> source,
                      std::shared_ptr<boost::asio::io_context> io = std::make_shared<boost::asio::io_context>(1))
        : io_shared_(std::move(io)), io_(*io_shared_), source_(std::move(source)) {}
    followed(const followed&) = delete;
    followed& operator=(const followed&) = delete;
    ~followed() { stop(); }

    result<run::sourced> read() { return run_one(io_, source_->read()); }
    run::sourced good() {
        auto got = read();
        REQUIRE_MESSAGE(got.has_value(), got.error().message());
        return std::move(*got);
    }
    error bad() {
        auto got = read();
        REQUIRE_MESSAGE(got.has_error(), got->revision);
        return got.error();
    }
    std::string note() const { return source_->note(); }

    void watch() {
        auto changed = [this] { ++changes; };
        auto ended = [this](const std::exception_ptr&) { watching_ = false; };
        watching_ = true;
        boost::asio::co_spawn(io_, source_->watch(changed), boost::asio::bind_cancellation_slot(stop_.slot(), ended));
        settle();
    }
    // Whether there have been so many changes, within that time.
    bool sees(int count, std::chrono::milliseconds within = std::chrono::seconds{10}) {
        return until([&] { return changes >= count; }, within);
    }
    // Lets that time go by; for what must not happen.
    void idle(std::chrono::milliseconds time) {
        until([] { return false; }, time);
    }
    void stop() {
        if (!watching_)
            return;
        stop_.emit(boost::asio::cancellation_type::terminal);
        CHECK(until([&] { return !watching_; }, std::chrono::seconds{10}));
    }

    boost::asio::io_context& io() { return io_; }
    int changes = 0;

private:
    static result<run::sourced> run_one(boost::asio::io_context& io, boost::asio::awaitable<result<run::sourced>> job) {
        return testing::run(io, std::move(job));
    }
    void settle() {
        io_.restart();
        io_.poll();
    }
    bool until(const std::function<bool()>& holds, std::chrono::milliseconds within) {
        const auto end = std::chrono::steady_clock::now() + within;
        while (!holds() && std::chrono::steady_clock::now() < end) {
            io_.restart();
            io_.run_one_until(end);
        }
        return holds();
    }

    std::shared_ptr<boost::asio::io_context> io_shared_;
    boost::asio::io_context& io_;
    boost::asio::cancellation_signal stop_;
    bool watching_ = false;
    std::unique_ptr<run::spec_source> source_;
};

inline bool says(const error& e, std::string_view words) {
    return e.message().find(words) != std::string::npos;
}

} // namespace postern::testing
