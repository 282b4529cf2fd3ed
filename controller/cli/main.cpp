#include "base/text.hpp"
#include "cli/options.hpp"
#include "cli/verbs.hpp"
#include "net/http.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

// Wiring alone: flags and their environment twins become options, options go to a verb.

namespace {

namespace cli = postern::cli;

// A core dump would hold every secret that this process knows.
void harden() {
    prctl(PR_SET_DUMPABLE, 0);
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    // A look-up of a name that is under way cannot be cut short, so it must not take long.
    setenv("RES_OPTIONS", "timeout:2 attempts:2", 0);
}

// A duration the way Go writes it, into `into`.
CLI::Option* add_duration(CLI::App& to, const std::string& name, postern::duration& into, const std::string& help,
                          bool may_be_zero = false) {
    auto take = [&into, name, may_be_zero](const std::string& text) {
        auto parsed = postern::parse_duration(text);
        const auto zero = postern::duration{0};
        if (parsed.has_error() || parsed.value() < zero || (parsed.value() == zero && !may_be_zero))
            throw CLI::ValidationError(name + ": \"" + postern::printable(text) + "\" is not a duration" +
                                       (may_be_zero ? "" : " above zero") + ", like 30s, 20m or 1h30m");
        into = parsed.value();
    };
    return to.add_option_function<std::string>(name, take, help)
        ->type_name("DURATION")
        ->default_str(postern::format_duration(into));
}

void check_origin(const std::string& text) {
    if (!postern::net::parse_origin(text))
        throw CLI::ValidationError("\"" + postern::printable(text) + "\" is not an origin, like http://127.0.0.1:8080");
}

void add_global(CLI::App& app, cli::options& asked) {
    using postern::run::level;
    using postern::run::log_format;
    const std::map<std::string, level> levels{
        {"debug", level::debug}, {"info", level::info}, {"warn", level::warn}, {"error", level::error}};
    const std::map<std::string, log_format> formats{{"text", log_format::text}, {"json", log_format::json}};
    app.add_option_function<std::string>(
           "--log-level", [&asked, levels](const std::string& word) { asked.log_level = levels.at(word); },
           "How much is told on stderr; debug tells every HTTP call, and never a secret")
        ->check(CLI::IsMember({"debug", "info", "warn", "error"}).description(""))
        ->type_name("debug|info|warn|error")
        ->default_str("warn")
        ->envname("POSTERN_LOG_LEVEL");
    app.add_option_function<std::string>(
           "--log-format", [&asked, formats](const std::string& word) { asked.log_format = formats.at(word); },
           "How it is told [text on a terminal, else json]")
        ->check(CLI::IsMember({"text", "json"}).description(""))
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
    app.add_option("--allow-env", asked.trust.allow_env,
                   "Further environment variables that documents may read, a '*' at the end for any ending")
        ->type_name("NAME,...")
        ->allow_extra_args(false)
        ->delimiter(',')
        ->envname("POSTERN_ALLOW_ENV");
    app.add_option("--allow-origin", asked.trust.allow_origin,
                   "Further API origins beside the vendors' own and loopback")
        ->type_name("ORIGIN,...")
        ->allow_extra_args(false)
        ->delimiter(',')
        ->envname("POSTERN_ALLOW_ORIGIN");
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

void add_specs(CLI::App& verb, cli::options& asked) {
    verb.add_option("SPECS", asked.specs, "YAML documents: files, or folders of them")->required()->type_name("");
}

void add_output(CLI::App& verb, cli::options& asked) {
    const std::map<std::string, cli::output> forms{{"text", cli::output::text}, {"json", cli::output::json}};
    verb.add_option_function<std::string>(
            "-o,--output", [&asked, forms](const std::string& word) { asked.form = forms.at(word); },
            "What stdout gets: text, or one JSON document")
        ->check(CLI::IsMember({"text", "json"}).description(""))
        ->type_name("text|json")
        ->default_str("text")
        ->envname("POSTERN_OUTPUT");
}

void add_limits(CLI::App& verb, cli::options& asked) {
    verb.add_option("--max-rotations", asked.max_rotations,
                    "How many credentials may be on their way to their successors at once; the others wait their turn")
        ->type_name("COUNT")
        ->check(CLI::Range(1, 10000).description(""))
        ->default_str("20")
        ->envname("POSTERN_MAX_ROTATIONS");
    verb.add_flag("--prune", asked.prune,
                  "Also act on what left git, as each deletionPolicy says; without it, it is only told")
        ->envname("POSTERN_PRUNE");
    verb.add_option("--max-changes", asked.max_changes,
                    "Refuse a pass that would delete or overwrite more than this many percent of ten or more objects")
        ->type_name("PERCENT")
        ->check(CLI::Range(0, 100).description(""))
        ->default_str("30")
        ->envname("POSTERN_MAX_CHANGES");
}

constexpr const char* about =
    "Postern holds Cloudflare Access service tokens, the policies that admit them, the vault that stores them\n"
    "and the Heroku apps that use them in the state that YAML documents in git declare.";

constexpr const char* about_all =
    "\nHow to begin:\n"
    "  postern validate specs/            are the documents right? Needs no network and no keys\n"
    "  postern plan specs/                what would be done? Reads everything, writes nothing\n"
    "  postern apply specs/               shows the plan, asks, does it, and waits until it is proved\n"
    "  postern rotate NAME specs/         gives one token another credential, now\n"
    "\nEvery flag can be set in the environment: --request-timeout is POSTERN_REQUEST_TIMEOUT. The command line wins.\n"
    "Keys are never flags: documents name where each is read from (`apiKey: {env: HEROKU_API_KEY}`).";

constexpr const char* about_validate =
    "\nEvery problem of every document is told in one go, as file:line:column: message.\n"
    "\nExamples:\n"
    "  postern validate specs/\n"
    "  postern validate specs/account.yaml specs/console.yaml\n"
    "  postern validate --secrets-dir /run/secrets specs/     if documents say {file: ...}\n"
    "\nThe flags that all commands share: postern --help\n"
    "\nExit code: 0 the documents are fine, 1 they are not.";

constexpr const char* about_plan =
    "\n+ create, ~ change, -/+ replace, - delete; below it what needs a person, failed, waits or is worth knowing.\n"
    "\nExamples:\n"
    "  postern plan specs/\n"
    "  postern plan specs/ -o json | jq '.steps[] | [.action, .target, .reason]'\n"
    "  postern plan specs/ --prune        with what left git\n"
    "  postern plan specs/ --log-level debug     with every HTTP call, on stderr\n"
    "\nThe flags that all commands share: postern --help\n"
    "\nExit code: 0 nothing to do now, 2 changes are pending, 1 an error.";

constexpr const char* about_apply =
    "\nA credential is made beside the one in use, stored, proved at every host, and only then delivered; the old one\n"
    "goes on working. An interrupted apply loses nothing: the next one goes on where it stopped.\n"
    "\nExamples:\n"
    "  postern apply specs/                          shows the plan and asks\n"
    "  postern apply specs/ --auto-approve           for CI\n"
    "  postern apply specs/ --auto-approve --wait 5m -o json\n"
    "  postern apply specs/ --auto-approve --prune   also deletes what left git, where its deletionPolicy is Delete\n"
    "\nThe flags that all commands share: postern --help\n"
    "\nExit code: 0 all that can be done now is done; 3 something needs a person, say an authorization; 1 an error, a\n"
    "credential that is still unproven after --wait, or a consumer that could not be reached (1 beats 3).";

constexpr const char* about_rotate =
    "\nThe request is written into the token's record in the vault first, so that a crash does not lose it: the next "
    "apply\n"
    "goes on with it. Inside an overlap it waits until that is over.\n"
    "\nExamples:\n"
    "  postern rotate console-self-probe specs/                 shows the plan and asks\n"
    "  postern rotate console-self-probe specs/ --dry-run       shows the plan\n"
    "  postern rotate console-self-probe specs/ --strategy InPlace --auto-approve\n"
    "  postern rotate console-self-probe specs/ --compromised   the old secret ends as soon as everybody has the new "
    "one\n"
    "  postern rotate console-self-probe specs/ --rehearse      the whole way with a token of its own; touches no "
    "consumer\n"
    "\nThe flags that all commands share: postern --help\n"
    "\nExit code: as apply's; with --dry-run as plan's.";

void add_rotate(CLI::App& verb, cli::options& asked) {
    using postern::domain::strategy;
    const std::map<std::string, strategy> ways{
        {"Replace", strategy::replace}, {"InPlace", strategy::in_place}, {"Renew", strategy::renew}};
    verb.add_option("NAME", asked.only, "The ServiceToken")->required()->type_name("");
    verb.add_option("SPECS,--specs", asked.specs, "YAML documents: files, or folders of them [specs]")
        ->type_name("")
        ->envname("POSTERN_SPECS");
    verb.add_option_function<std::string>(
            "--strategy", [&asked, ways](const std::string& word) { asked.how = ways.at(word); },
            "Other than the document's: a second token, a second secret of the token, or a later expiry alone")
        ->check(CLI::IsMember({"Replace", "InPlace", "Renew"}).description(""))
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
bool is_unknown_command(const CLI::App& app, const CLI::ParseError& e) {
    const auto rest = app.remaining();
    const auto word = std::find_if(rest.begin(), rest.end(), [](const auto& w) { return !w.starts_with('-'); });
    if (e.get_name() != "RequiredError" || !app.get_subcommands().empty() || word == rest.end())
        return false;
    std::vector<std::string> commands;
    for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
        commands.push_back(command->get_name());
    std::cerr << "There is no command \"" << postern::printable(*word) << "\"";
    if (const auto meant = postern::nearest(*word, commands))
        std::cerr << ", did you mean \"" << *meant << "\"?\n";
    else
        std::cerr << "; there are " << postern::join(commands, ", ") << ".\n";
    std::cerr << "Run with --help for more information.\n";
    return true;
}

// A full disk or a closed pipe must not look like success.
int told(int code) {
    if (std::cout.flush())
        return code;
    std::cerr << "Standard output could not be written: what was to be told there is not complete.\n";
    return cli::code::error;
}

int run(int argc, char** argv) {
    cli::options asked;
    CLI::App app{about, "postern"};
    app.footer(about_all);
    app.set_version_flag("--version", std::string{"postern "} + POSTERN_VERSION);
    app.require_subcommand(1);
    add_global(app, asked);

    auto* validate = app.add_subcommand("validate", "Check the documents");
    validate->footer(about_validate)->fallthrough();
    add_specs(*validate, asked);

    auto* plan = app.add_subcommand("plan", "Show what would be done, and do none of it");
    plan->footer(about_plan)->fallthrough();
    add_specs(*plan, asked);
    add_output(*plan, asked);
    add_limits(*plan, asked);

    auto* apply = app.add_subcommand("apply", "Do what the documents ask for, once");
    apply->footer(about_apply)->fallthrough();
    add_specs(*apply, asked);
    add_output(*apply, asked);
    add_limits(*apply, asked);
    apply->add_flag("--auto-approve", asked.auto_approve, "Do not show the plan and ask")
        ->envname("POSTERN_AUTO_APPROVE");
    add_duration(*apply, "--wait", asked.wait,
                 "How long to wait for propagation and releases once nothing else moves any more", true)
        ->envname("POSTERN_WAIT");

    auto* rotate = app.add_subcommand("rotate", "Give one service token another credential, now");
    rotate->footer(about_rotate)->fallthrough();
    add_rotate(*rotate, asked);
    add_output(*rotate, asked);
    rotate->add_flag("--auto-approve", asked.auto_approve, "Do not show the plan and ask")
        ->envname("POSTERN_AUTO_APPROVE");
    add_duration(*rotate, "--wait", asked.wait,
                 "How long to wait for propagation and releases once nothing else moves any more", true)
        ->envname("POSTERN_WAIT");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() != 0 && is_unknown_command(app, e))
            return cli::code::error;
        if (app.exit(e) == 0)
            return told(cli::code::fine);
        tell_environment();
        return cli::code::error;
    }
    if (*validate)
        return told(cli::validate(asked));
    if (*rotate) {
        if (asked.specs.empty())
            asked.specs = {"specs"};
        return told(cli::rotate(asked));
    }
    return told(*plan ? cli::plan(asked) : cli::apply(asked));
}

} // namespace

int main(int argc, char** argv) {
    harden();
    try {
        return run(argc, argv);
    } catch (const std::exception& e) {
        std::cerr << "postern: this is a bug in Postern: " << e.what() << '\n';
    } catch (...) {
        std::cerr << "postern: this is a bug in Postern\n";
    }
    return cli::code::error;
}
