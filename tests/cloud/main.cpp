// postern-cloud: the miniature cloud as a program. Its first line of stdout is one JSON object that says where
// everything is; then it serves until SIGTERM or SIGINT.
#include "base/text.hpp"
#include "cloud/harbour.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string_view>
#include <unistd.h>
#include <vector>

using namespace postern;
using namespace postern::testcloud;

namespace {

constexpr int refused_somebody = 3;
int status = 0; // with which it ends

constexpr std::string_view usage =
    R"(postern-cloud: Cloudflare Access, Infisical, Heroku and the Access edge in one process, on loopback.

  --port N            first of five ports (Cloudflare, Infisical, Heroku, edge, control); 0, the default, takes free ones
  --tls               serve HTTPS with a test CA, whose file is named in "caFile" (the control origin stays plain)
  --seed N            fixes every id; default 1. Secrets are random always
  --limits            enforce the vendors' rate limits
  --edge-delays LIST  seconds after which each edge location learns of a change, as in 0,5,20; default 0,0,0
  --exit-with-parent  stop when the process that started this one is gone
  --help

It ends with 0, with 3 where a consumer was refused whom nobody excused (who, where and why stands on stderr), with 1
where it cannot serve. The first line of stdout is a JSON object: cloudflare, infisical, heroku, edge, control (URLs), accountId, apiToken,
infisicalClientId, infisicalClientSecret, projectId, projectSlug, environment, herokuApiKey, herokuApp, appId, appHost,
and with --tls caFile.

)";

struct options {
    harbour_options harbour;
    std::uint64_t seed = 1;
    bool limits = false;
    bool exit_with_parent = false;
    std::vector<duration> edge_delays;
};

template<class Number>
Number number_of(std::string_view text) {
    Number value{};
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size())
        throw std::runtime_error("not a number: " + std::string{text});
    return value;
}

options read_options(const std::vector<std::string_view>& arguments) {
    options out;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const auto name = arguments[i];
        auto value = [&]() {
            if (++i == arguments.size())
                throw std::runtime_error(std::string{name} + " wants a value");
            return arguments[i];
        };
        if (name == "--port")
            out.harbour.first_port = number_of<std::uint16_t>(value());
        else if (name == "--tls")
            out.harbour.tls = true;
        else if (name == "--seed")
            out.seed = number_of<std::uint64_t>(value());
        else if (name == "--limits")
            out.limits = true;
        else if (name == "--exit-with-parent")
            out.exit_with_parent = true;
        else if (name == "--edge-delays")
            for (auto seconds : split(value(), ','))
                out.edge_delays.push_back(std::chrono::seconds{number_of<int>(seconds)});
        else
            throw std::runtime_error("unknown option " + std::string{name} + "; see --help");
    }
    return out;
}

// A folder of this run's own, gone with it.
class scratch {
public:
    scratch() {
        auto pattern = (std::filesystem::temp_directory_path() / "postern-cloud-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr)
            throw std::runtime_error("no temporary folder");
        folder_ = pattern;
    }
    ~scratch() {
        std::error_code ec;
        std::filesystem::remove_all(folder_, ec);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    std::filesystem::path file(std::string_view name, std::string_view text) const {
        std::ofstream{folder_ / name} << text;
        return folder_ / name;
    }

private:
    std::filesystem::path folder_;
};

// Until somebody stops: a timer that has run out already cannot be cancelled any more.
void watch_parent(boost::asio::steady_timer& timer, pid_t parent, const bool& stopped,
                  const std::function<void()>& stop) {
    timer.expires_after(std::chrono::milliseconds{250});
    timer.async_wait([&timer, parent, &stopped, stop](boost::system::error_code ec) {
        if (ec || stopped)
            return;
        if (getppid() != parent)
            return stop();
        watch_parent(timer, parent, stopped, stop);
    });
}

void serve(const options& chosen) {
    const scratch folder;
    boost::asio::io_context io{1};
    cloud all{chosen.seed, std::chrono::time_point_cast<duration>(std::chrono::system_clock::now())};
    all.seed_example();
    all.time.flow();
    all.access.switches.enforce_limits = chosen.limits;
    all.vault.switches.enforce_limits = chosen.limits;
    all.platform.switches.enforce_limits = chosen.limits;
    if (!chosen.edge_delays.empty())
        all.network.set_delays(chosen.edge_delays);
    harbour on_loopback{io, all, chosen.harbour};

    boost::asio::steady_timer parent_watch{io};
    boost::asio::signal_set signals{io, SIGTERM, SIGINT};
    bool stopped = false;
    auto stop = [&] {
        stopped = true;
        on_loopback.stop();
        parent_watch.cancel();
        signals.cancel();
    };
    signals.async_wait([&](boost::system::error_code ec, int) {
        if (!ec)
            stop();
    });
    if (chosen.exit_with_parent)
        watch_parent(parent_watch, getppid(), stopped, stop);

    auto line = on_loopback.first_line();
    if (chosen.harbour.tls)
        line["caFile"] = folder.file("ca.pem", on_loopback.root_pem()).string();
    std::cout << json::serialize(line) << std::endl;
    io.run();
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    for (const auto argument : arguments)
        if (argument == "--help") {
            std::cout << usage << control_help;
            return 0;
        }
    cloud::when_refused = [](const std::string& complaint) {
        std::cerr << "postern-cloud: consumers were refused:\n" << complaint;
        status = refused_somebody;
    };
    try {
        serve(read_options(arguments));
    } catch (const boost::system::system_error& e) {
        std::cerr << "postern-cloud: " << e.code().message() << '\n';
        return 1;
    } catch (const std::exception& e) {
        std::cerr << "postern-cloud: " << e.what() << '\n';
        return 1;
    }
    return status;
}
