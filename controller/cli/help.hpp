#pragma once

// What --help says besides the flags. It teaches: how to begin, examples, exit codes.
namespace postern::cli::help {

inline constexpr const char* about =
    "Postern holds Cloudflare Access service tokens, the policies that admit them, the vault that stores them\n"
    "and the Heroku apps that use them in the state that YAML documents in git declare.";

inline constexpr const char* all =
    "\nHow to begin:\n"
    "  postern validate specs/            are the documents right? Needs no network and no keys\n"
    "  postern plan specs/                what would be done? Reads everything, writes nothing\n"
    "  postern apply specs/               shows the plan, asks, does it, and waits until it is proved\n"
    "  postern rotate NAME specs/         gives one token another credential, now\n"
    "  postern run specs/                 does all of it for ever: a worker\n"
    "  postern status                     what the worker last saw; postern journal: what it ever did\n"
    "\nEvery flag can be set in the environment: --request-timeout is POSTERN_REQUEST_TIMEOUT. The command line wins.\n"
    "Keys are never flags: documents name where each is read from (`apiKey: {env: HEROKU_API_KEY}`).";

inline constexpr const char* validate =
    "\nEvery problem of every document is told in one go, as file:line:column: message.\n"
    "\nExamples:\n"
    "  postern validate specs/\n"
    "  postern validate specs/account.yaml specs/console.yaml\n"
    "  postern validate --secrets-dir /run/secrets specs/     if documents say {file: ...}\n"
    "\nThe flags that all commands share: postern --help\n"
    "\nExit code: 0 the documents are fine, 1 they are not.";

inline constexpr const char* plan =
    "\n+ create, ~ change, -/+ replace, - delete; below it what needs a person, failed, waits or is worth knowing.\n"
    "\nExamples:\n"
    "  postern plan specs/\n"
    "  postern plan specs/ -o json | jq '.steps[] | [.action, .target, .reason]'\n"
    "  postern plan specs/ --prune        with what left git\n"
    "  postern plan specs/ --log-level debug     with every HTTP call, on stderr\n"
    "\nThe flags that all commands share: postern --help\n"
    "\nExit code: 0 nothing to do now, 2 changes are pending, 1 an error.";

inline constexpr const char* apply =
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

inline constexpr const char* rotate =
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

inline constexpr const char* run =
    "\nThe same as apply, for ever: when documents change, when something falls due, when somebody asks (SIGHUP, POST\n"
    "/hooks/git, postern rotate), and every --interval. What left git is acted on, as each deletionPolicy says; by "
    "itself\n"
    "that keeps everything. Several may run: one leads, the others stand by and take "
    "over.\n"
    "Wrong documents, an unreachable vault or a refused key end nothing: what was last good stays in force, and the "
    "log,\n"
    "the metrics and `postern status` say what is wrong.\n"
    "\nExamples:\n"
    "  postern run specs/ --observe                      reads and reports, writes nothing\n"
    "  postern run --git https://github.com/ORG/REPO --branch main --path specs\n"
    "  postern run --git git@github.com:ORG/REPO --path specs --git-key key --git-known-hosts known_hosts\n"
    "  postern run specs/ --listen 127.0.0.1:9090 --store postgres://postern@db/postern\n"
    "\nThe flags that all commands share: postern --help\n"
    "\nSIGTERM and SIGINT: no new writes, the one under way is ended or recorded, the lease is given back.\n"
    "\nExit code: 0 after a signal, 1 where it cannot be started as asked.";

inline constexpr const char* status = "\nExamples:\n"
                                      "  postern status                                    from the store\n"
                                      "  postern status console-self-probe -o json\n"
                                      "  postern status --endpoint http://127.0.0.1:9090\n"
                                      "\nThe flags that all commands share: postern --help\n"
                                      "\nExit code: 0 it was shown, 1 there is nothing to show.";

inline constexpr const char* journal =
    "\nExamples:\n"
    "  postern journal --since 24h\n"
    "  postern journal --since 2026-11-01T00:00:00Z -o json | jq '.entries[] | select(.failure != \"\")'\n"
    "\nThe flags that all commands share: postern --help\n"
    "\nExit code: 0 it was shown, 1 the store cannot be read.";

} // namespace postern::cli::help
