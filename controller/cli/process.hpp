#pragma once

#include "cli/options.hpp"
#include "net/https_transport.hpp"
#include "run/log.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

// What a verb takes from the process that it runs in: its environment, its terminal, its chance.
namespace postern::cli {

std::optional<std::string> environment(std::string_view name);

bool on_terminal(int descriptor);
std::size_t terminal_columns(); // of stdout
bool colours_wanted();          // on stdout

// The Heroku app that this runs on, by the names that Heroku gives to its dynos; empty elsewhere.
std::set<std::string> own_apps();

net::https_settings wire_settings(const options& asked);
run::log_format format_of(const options& asked); // on stderr
std::function<double()> jitter();                // in [0, 1)

} // namespace postern::cli
