#pragma once

#include "base/instant.hpp"
#include "domain/record.hpp"
#include "run/log.hpp"
#include "spec/trust.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

// What the command line and its environment twins ask for, as plain values: the verbs know nothing of how they were
// written.
namespace postern::cli {

enum class output { text, json };

struct options {
    std::vector<std::string> specs;
    spec::load_options trust;

    run::level log_level = run::level::warn;
    std::optional<run::log_format> log_format; // nothing: text on a terminal, else JSON
    duration request_timeout = std::chrono::seconds{30};
    std::optional<std::string> ca_file;
    std::optional<std::string> connect_to;
    bool observe = false;

    output form = output::text;
    bool auto_approve = false;
    bool prune = false;
    duration wait = std::chrono::minutes{20};
    int max_changes = 30;
    int max_rotations = 20;

    const char* verb = "apply"; // what it is called in messages
    std::string only;           // a ServiceToken's name: a pass for it alone
    std::map<std::string, domain::rotation_request> requests;
    // rotate
    std::optional<domain::strategy> how;
    bool compromised = false;
    bool rehearse = false;
    bool dry_run = false;
};

// What the process says by its exit code.
namespace code {
inline constexpr int fine = 0;
inline constexpr int error = 1;
inline constexpr int changes_pending = 2;
inline constexpr int needs_a_person = 3;
} // namespace code

} // namespace postern::cli
