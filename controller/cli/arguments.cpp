#include "cli/arguments.hpp"

#include "base/text.hpp"
#include "cli/help.hpp"
#include "cli/options.hpp"
#include "cli/verbs.hpp"
#include "net/http.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace postern::cli {

namespace {

// Names with commas between them, or the flag again. What follows them is no further name, but the documents.
::CLI::Option* add_list(::CLI::App& to, const std::string& name, std::vector<std::string>& into,
                        const std::string& help) {
    return to.add_option(name, into, help)->allow_extra_args(false)->delimiter(',');
}

// A duration the way Go writes it, into `into`.
::CLI::Option* add_duration(::CLI::App& to, const std::string& name, duration& into, const std::string& help,
                            bool may_be_zero = false) {
    auto take = [&into, name, may_be_zero](const std::string& text) {
        auto parsed = parse_duration(text);
        const auto zero = duration{0};
        if (parsed.has_error() || parsed.value() < zero || (parsed.value() == zero && !may_be_zero))
            throw ::CLI::ValidationError(name + ": \"" + printable(text) + "\" is not a duration" +
                                         (may_be_zero ? "" : " above zero") + ", like 30s, 20m or 1h30m");
        into = parsed.value();
    };
    return to.add_option_function<std::string>(name, take, help)
        ->type_name("DURATION")
        ->default_str(format_duration(into));
}

void check_origin(const std::string& text) {
    if (!net::parse_origin(text))
        throw ::CLI::ValidationError("\"" + printable(text) + "\" is not an origin, like http://127.0.0.1:8080");
}

void add_global(::CLI::App& app, options& asked) {
    using run::level;
    using run::log_format;
    const std::map<std::string, level> levels{
        {"debug", level::debug}, {"info", level::info}, {"warn", level::warn}, {"error", level::error}};
    const std::map<std::string, log_format> formats{{"text", log_format::text}, {"json", log_format::json}};
    app.add_option_function<std::string>(
           "--log-level", [&asked, levels](const std::string& word) { asked.log_level = levels.at(word); },
           "How much is told on stderr; debug tells every HTTP call, and never a secret")
        ->check(::CLI::IsMember({"debug", "info", "warn", "error"}).description(""))
        ->type_name("debug|info|warn|error")
        ->default_str("warn")
        ->envname("POSTERN_LOG_LEVEL");
    app.add_option_function<std::string>(
           "--log-format", [&asked, formats](const std::string& word) { asked.log_format = formats.at(word); },
           "How it is told [text on a terminal, else json]")
        ->check(::CLI::IsMember({"text", "json"}).description(""))
        ->type_name("text|json")
        ->envname("POSTERN_LOG_FORMAT");
    add_duration(app, "--request-timeout", asked.request_timeout, "How long one HTTP request may take")
        ->envname("POSTERN_REQUEST_TIMEOUT");
    app.add_option("--ca-file", asked.ca_file, "A PEM file with trust anchors beside the system's")
        ->type_name("FILE")
        ->envname("POSTERN_CA_FILE");
    app.add_option("--connect-to", asked.connect_to,
                   "Smoke tests connect to this origin, Host and SNI unchanged: for tests and split-horizon DNS")
        ->type_name("URL")
        ->each(check_origin)
        ->envname("POSTERN_CONNECT_TO");
    app.add_flag("--observe", asked.observe, "The brake: everything is read and reported, nothing is written")
        ->envname("POSTERN_OBSERVE");
    add_list(app, "--allow-env", asked.trust.allow_env,
             "Further environment variables that documents may read, a '*' at the end for any ending")
        ->type_name("NAME,...")
        ->envname("POSTERN_ALLOW_ENV");
    add_list(app, "--allow-origin", asked.trust.allow_origin,
             "Further API origins beside the vendors' own and loopback")
        ->type_name("ORIGIN,...")
        ->envname("POSTERN_ALLOW_ORIGIN");
    add_list(app, "--only-hosts", asked.trust.only_hosts,
             "The only hosts whose applications documents may bind, '*' for any run of characters [any]")
        ->type_name("HOST,...")
        ->envname("POSTERN_ONLY_HOSTS");
    add_list(app, "--only-apps", asked.trust.only_apps,
             "The only Heroku apps that documents may serve, '*' for any run of characters [any]")
        ->type_name("APP,...")
        ->envname("POSTERN_ONLY_APPS");
    add_list(app, "--only-folders", asked.trust.only_folders,
             "The only folders of the vault that documents may use, with what is below them [any]")
        ->type_name("PATH,...")
        ->envname("POSTERN_ONLY_FOLDERS");
    app.add_option("--secrets-dir", asked.trust.secrets_dir,
                   "The only folder below which documents may read files [none]")
        ->type_name("DIR")
        ->envname("POSTERN_SECRETS_DIR");
    app.add_option("--source", asked.trust.source,
                   "What the documents are called in the records: only their own source prunes what left it\n"
                   "[the git remote \"origin\" and the folder in it; without one, the full path]")
        ->type_name("NAME")
        ->envname("POSTERN_SOURCE");
}

void add_specs(::CLI::App& verb, options& asked) {
    verb.add_option("SPECS", asked.specs, "YAML documents: files, or folders of them")->required()->type_name("");
}

void add_output(::CLI::App& verb, options& asked) {
    const std::map<std::string, output> forms{{"text", output::text}, {"json", output::json}};
    verb.add_option_function<std::string>(
            "-o,--output", [&asked, forms](const std::string& word) { asked.form = forms.at(word); },
            "What stdout gets: text, or one JSON document")
        ->check(::CLI::IsMember({"text", "json"}).description(""))
        ->type_name("text|json")
        ->default_str("text")
        ->envname("POSTERN_OUTPUT");
}

void add_limits(::CLI::App& verb, options& asked) {
    verb.add_option("--max-rotations", asked.max_rotations,
                    "How many credentials may be on their way to their successors at once; the others wait their turn")
        ->type_name("COUNT")
        ->check(::CLI::Range(1, 10000).description(""))
        ->default_str("20")
        ->envname("POSTERN_MAX_ROTATIONS");
    verb.add_option("--max-changes", asked.max_changes,
                    "Refuse a pass that would delete or overwrite more than this many percent of ten or more objects")
        ->type_name("PERCENT")
        ->check(::CLI::Range(0, 100).description(""))
        ->default_str("30")
        ->envname("POSTERN_MAX_CHANGES");
}

// The daemon always does, of its own source.
void add_prune(::CLI::App& verb, options& asked) {
    verb.add_flag("--prune", asked.prune,
                  "Also act on what left git, as each deletionPolicy says; without it, it is only told")
        ->envname("POSTERN_PRUNE");
}

void add_rotate(::CLI::App& verb, options& asked) {
    using domain::strategy;
    const std::map<std::string, strategy> ways{
        {"Replace", strategy::replace}, {"InPlace", strategy::in_place}, {"Renew", strategy::renew}};
    verb.add_option("NAME", asked.only, "The ServiceToken")->required()->type_name("");
    verb.add_option("SPECS,--specs", asked.specs, "YAML documents: files, or folders of them [specs]")
        ->type_name("")
        ->envname("POSTERN_SPECS");
    verb.add_option_function<std::string>(
            "--strategy", [&asked, ways](const std::string& word) { asked.how = ways.at(word); },
            "Other than the document's: a second token, a second secret of the token, or a later expiry alone")
        ->check(::CLI::IsMember({"Replace", "InPlace", "Renew"}).description(""))
        ->type_name("Replace|InPlace|Renew")
        ->envname("POSTERN_STRATEGY");
    verb.add_flag("--compromised", asked.compromised,
                  "Somebody knows the secret: no overlap; it ends as soon as every consumer has the next one")
        ->envname("POSTERN_COMPROMISED");
    verb.add_flag("--rehearse", asked.rehearse,
                  "Go the whole way with a throwaway token and vault key, clean up, and tell how long each step took")
        ->envname("POSTERN_REHEARSE");
    verb.add_flag("--dry-run", asked.dry_run, "Show what would be done, and do none of it")->envname("POSTERN_DRY_RUN");
}

void add_approval(::CLI::App& verb, options& asked) {
    verb.add_flag("--auto-approve", asked.auto_approve, "Do not show the plan and ask")
        ->envname("POSTERN_AUTO_APPROVE");
    add_duration(verb, "--wait", asked.wait,
                 "How long to wait for propagation and releases once nothing else moves any more", true)
        ->envname("POSTERN_WAIT");
}

// A secret of this process itself: flags name where it is read from, as documents do.
::CLI::Option* add_source(::CLI::App& verb, const std::string& name, std::optional<domain::value_source>& into,
                          const std::string& help) {
    auto take = [&into, name](const std::string& text) {
        if (text.starts_with("env:") && text.size() > 4)
            into = domain::from_env{text.substr(4)};
        else if (text.starts_with("file:") && text.size() > 5)
            into = domain::from_file{text.substr(5)};
        else // what was given may be the secret itself
            throw ::CLI::ValidationError(name + " takes env:NAME or file:PATH, never the secret itself");
    };
    return verb.add_option_function<std::string>(name, take, help)->type_name("env:NAME|file:PATH");
}

void add_store(::CLI::App& verb, options& asked) {
    verb.add_option("--store", asked.store,
                    "The daemon's store: sqlite:PATH or postgres://... [DATABASE_URL, else sqlite:postern.db]")
        ->type_name("ADDRESS")
        ->envname("POSTERN_STORE");
}

void add_since(::CLI::App& verb, options& asked) {
    auto take = [&asked](const std::string& text) {
        if (auto at = parse_instant(text)) {
            asked.since = *at;
            return;
        }
        auto ago = parse_duration(text);
        if (ago.has_error())
            throw ::CLI::ValidationError("--since: \"" + printable(text) +
                                         "\" is neither a time, like 2026-11-23T10:00:00Z, nor a duration, like 24h");
        asked.since_ago = ago.value();
    };
    verb.add_option_function<std::string>("--since", take, "From then on: a time, or how long ago [all]")
        ->type_name("TIME|DURATION")
        ->envname("POSTERN_SINCE");
}

void add_run(::CLI::App& verb, options& asked) {
    auto& how = asked.daemon;
    verb.add_option("SPECS", asked.specs, "YAML documents: files, or folders of them, watched; or --git")
        ->type_name("");
    verb.add_option("--git", how.git.url, "Follow a repository instead: https, ssh, file, or a path")
        ->type_name("URL")
        ->envname("POSTERN_GIT");
    verb.add_option("--branch", how.git.branch, "The branch that is followed")
        ->type_name("NAME")
        ->default_str(how.git.branch)
        ->envname("POSTERN_BRANCH");
    verb.add_option("--path", how.git.path, "The folder in the repository that holds the documents [all of it]")
        ->type_name("PATH")
        ->envname("POSTERN_PATH");
    verb.add_option("--git-dir", how.git.mirror, "Where the repository's mirror is kept [postern-mirror.git]")
        ->type_name("DIR")
        ->default_str("")
        ->envname("POSTERN_GIT_DIR");
    add_duration(verb, "--git-poll", how.git.poll, "How often the repository is asked for news")
        ->envname("POSTERN_GIT_POLL");
    add_source(verb, "--git-token-from", how.git_token,
               "Where the token for a repository over https is read [env:POSTERN_GIT_TOKEN]")
        ->envname("POSTERN_GIT_TOKEN_FROM");
    verb.add_option("--git-key", how.git.key, "The private key file for a repository over ssh")
        ->type_name("FILE")
        ->envname("POSTERN_GIT_KEY");
    verb.add_option("--git-known-hosts", how.git.known_hosts, "The host keys that are trusted over ssh")
        ->type_name("FILE")
        ->envname("POSTERN_GIT_KNOWN_HOSTS");
    add_duration(verb, "--interval", how.interval, "How often the whole world is looked at, give or take a tenth")
        ->envname("POSTERN_INTERVAL");
    verb.add_option("--listen", how.listen,
                    "Serve /healthz, /readyz, /metrics, /api/v1/status and POST /hooks/git here [nowhere]")
        ->type_name("ADDR:PORT")
        ->envname("POSTERN_LISTEN");
    add_source(verb, "--listen-token-from", asked.listen_token,
               "Where the bearer token for /metrics and /api/v1/status is read; without one only loopback is listened "
               "on\n[env:POSTERN_LISTEN_TOKEN]")
        ->envname("POSTERN_LISTEN_TOKEN_FROM");
    add_source(verb, "--hook-secret-from", how.hook_secret,
               "Where the secret is read that signs POST /hooks/git, as GitHub does it [env:POSTERN_HOOK_SECRET]")
        ->envname("POSTERN_HOOK_SECRET_FROM");
}

void add_lease(::CLI::App& verb, options& asked) {
    add_duration(verb, "--lease", asked.daemon.lease,
                 "How long a controller that has fallen silent keeps the others from leading; of all that share a "
                 "store the same")
        ->envname("POSTERN_LEASE");
}

// A wrong value may come from a variable that nobody has in mind.
void tell_environment() {
    std::string names;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view entry{*variable};
        if (entry.starts_with("POSTERN_"))
            names += " " + std::string{entry.substr(0, entry.find('='))};
    }
    if (!names.empty())
        std::cerr << "Set in the environment, and read where a flag is not given:" << names << '\n';
}

// What CLI11 says of a command that does not exist is only that there should be one.
bool is_unknown_command(const ::CLI::App& app, const ::CLI::ParseError& e) {
    const auto rest = app.remaining();
    const auto word = std::find_if(rest.begin(), rest.end(), [](const auto& w) { return !w.starts_with('-'); });
    if (e.get_name() != "RequiredError" || !app.get_subcommands().empty() || word == rest.end())
        return false;
    std::vector<std::string> commands;
    for (const auto* command : app.get_subcommands([](const ::CLI::App*) { return true; }))
        commands.push_back(command->get_name());
    std::cerr << "There is no command \"" << printable(*word) << "\"";
    if (const auto meant = nearest(*word, commands))
        std::cerr << ", did you mean \"" << *meant << "\"?\n";
    else
        std::cerr << "; there are " << join(commands, ", ") << ".\n";
    std::cerr << "Run with --help for more information.\n";
    return true;
}

// A full disk or a closed pipe must not look like success.
int told(int code) {
    if (std::cout.flush())
        return code;
    std::cerr << "Standard output could not be written: what was to be told there is not complete.\n";
    return code::error;
}

} // namespace

int run_command(int argc, char** argv) {
    options asked;
    ::CLI::App app{help::about, "postern"};
    app.footer(help::all);
    app.set_version_flag("--version", std::string{"postern "} + POSTERN_VERSION);
    app.require_subcommand(1);
    add_global(app, asked);

    std::vector<std::pair<::CLI::App*, int (*)(const options&)>> verbs;
    auto add_verb = [&](const char* name, const char* what, const char* footer, int (*verb)(const options&)) {
        auto* added = app.add_subcommand(name, what);
        added->footer(footer)->fallthrough();
        verbs.emplace_back(added, verb);
        return added;
    };
    add_specs(*add_verb("validate", "Check the documents", help::validate, validate), asked);

    auto* to_plan = add_verb("plan", "Show what would be done, and do none of it", help::plan, plan);
    add_specs(*to_plan, asked);
    add_output(*to_plan, asked);
    add_limits(*to_plan, asked);
    add_prune(*to_plan, asked);

    auto* to_apply = add_verb("apply", "Do what the documents ask for, once", help::apply, apply);
    add_specs(*to_apply, asked);
    add_output(*to_apply, asked);
    add_limits(*to_apply, asked);
    add_prune(*to_apply, asked);
    add_approval(*to_apply, asked);

    auto* to_rotate = add_verb("rotate", "Give one service token another credential, now", help::rotate, rotate);
    add_rotate(*to_rotate, asked);
    add_output(*to_rotate, asked);
    add_approval(*to_rotate, asked);
    add_store(*to_rotate, asked);
    add_lease(*to_rotate, asked);

    auto* to_run = add_verb("run", "Do what the documents ask for, for ever", help::run, run_daemon);
    add_run(*to_run, asked);
    add_lease(*to_run, asked);
    add_limits(*to_run, asked);
    add_store(*to_run, asked);

    auto* to_status = add_verb("status", "What the daemon last saw and did", help::status, show_status);
    to_status->add_option("NAME", asked.only, "Of this ServiceToken alone [of all]")->type_name("");
    add_output(*to_status, asked);
    add_store(*to_status, asked);
    add_lease(*to_status, asked);
    to_status->add_option("--endpoint", asked.endpoint, "Ask a daemon's --listen address instead of the store")
        ->type_name("URL")
        ->each(check_origin)
        ->envname("POSTERN_ENDPOINT");
    add_source(*to_status, "--listen-token-from", asked.listen_token,
               "Where the bearer token for the endpoint is read [env:POSTERN_LISTEN_TOKEN]")
        ->envname("POSTERN_LISTEN_TOKEN_FROM");

    auto* to_journal = add_verb("journal", "Every decision and change the daemon made", help::journal, show_journal);
    add_output(*to_journal, asked);
    add_store(*to_journal, asked);
    add_since(*to_journal, asked);
    to_journal->add_option("--limit", asked.limit, "At most so many of the newest entries")
        ->type_name("COUNT")
        ->check(::CLI::Range(1, 1000000).description(""))
        ->default_str("1000")
        ->envname("POSTERN_LIMIT");

    try {
        app.parse(argc, argv);
    } catch (const ::CLI::ParseError& e) {
        if (e.get_exit_code() != 0 && is_unknown_command(app, e))
            return code::error;
        if (app.exit(e) == 0)
            return told(code::fine);
        tell_environment();
        return code::error;
    }
    if (asked.specs.empty() && app.got_subcommand(to_rotate))
        asked.specs = {"specs"};
    // A worker's log is all that one sees of it.
    if (app.got_subcommand(to_run) && app.get_option("--log-level")->empty())
        asked.log_level = run::level::info;
    for (const auto& [parsed, verb] : verbs) {
        if (app.got_subcommand(parsed))
            return told(verb(asked));
    }
    return code::error;
}

} // namespace postern::cli
