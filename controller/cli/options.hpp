#pragma once

#include "base/instant.hpp"
#include "domain/desired.hpp"
#include "domain/record.hpp"
#include "run/log.hpp"
#include "run/pass.hpp"
#include "run/spec_source.hpp"
#include "spec/trust.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

// What the command line and its environment twins ask for, as plain values: the verbs know nothing of how they were
// written.
namespace postern::cli {

enum class output { text, json };

// run
struct daemon_options {
    run::git_settings git; // its token's source is `git_token`; no url: the documents are SPECS
    std::optional<domain::value_source> git_token;
    duration interval = std::chrono::minutes{5};
    std::string listen; // address:port; empty: nowhere
    std::optional<domain::value_source> hook_secret;
    duration lease = std::chrono::seconds{15};
};

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
    run::extent takes = run::extent::all;
    // rotate
    std::optional<domain::strategy> how;
    bool compromised = false;
    bool rehearse = false;
    bool dry_run = false;

    daemon_options daemon;
    std::string store; // empty: DATABASE_URL, else SQLite in the working folder
    // run, status
    std::optional<domain::value_source> listen_token;
    // status
    std::string endpoint;
    // journal
    std::optional<instant> since;
    std::optional<duration> since_ago;
    std::size_t limit = 1000;
};

// What the process says by its exit code.
namespace code {
inline constexpr int fine = 0;
inline constexpr int error = 1;
inline constexpr int changes_pending = 2;
inline constexpr int needs_a_person = 3;
} // namespace code

} // namespace postern::cli
