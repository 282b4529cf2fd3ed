#include "cli/process.hpp"

#include <cstdlib>
#include <memory>
#include <random>
#include <sys/ioctl.h>
#include <unistd.h>

namespace postern::cli {

std::optional<std::string> environment(std::string_view name) {
    const char* value = std::getenv(std::string{name}.c_str());
    return value != nullptr ? std::optional<std::string>{value} : std::nullopt;
}

std::set<std::string> own_apps() {
    std::set<std::string> out;
    for (const auto* name : {"HEROKU_APP_NAME", "HEROKU_APP_ID"}) {
        if (const auto app = environment(name); app && !app->empty())
            out.insert(*app);
    }
    return out;
}

net::https_settings wire_settings(const options& asked) {
    net::https_settings settings;
    settings.request_timeout = asked.request_timeout;
    settings.ca_file = asked.ca_file;
    net::read_proxy_environment(settings, environment);
    return settings;
}

run::log_format format_of(const options& asked) {
    return asked.log_format.value_or(on_terminal(STDERR_FILENO) ? run::log_format::text : run::log_format::json);
}

std::function<double()> jitter() {
    auto engine = std::make_shared<std::mt19937>(std::random_device{}());
    return [engine] { return std::uniform_real_distribution<double>{0.0, 1.0}(*engine); };
}

bool on_terminal(int descriptor) {
    return ::isatty(descriptor) == 1;
}

std::size_t terminal_columns() {
    winsize size{};
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

bool colours_wanted() {
    const auto refused = environment("NO_COLOR");
    return on_terminal(STDOUT_FILENO) && (!refused || refused->empty());
}

} // namespace postern::cli
