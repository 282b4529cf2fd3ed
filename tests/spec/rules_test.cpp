#include "base/text.hpp"
#include "documents.hpp"

#include <doctest/doctest.h>

namespace rules_test {

using namespace postern;
using namespace postern::spec_test;

namespace {

struct rule {
    std::string title;
    std::vector<std::string> documents; // beside the connections
    std::vector<std::string> problems;
    spec::load_options options = {};
};

void check_rules(const std::vector<rule>& rules, const std::vector<std::string>& connections) {
    for (const auto& r : rules) {
        CAPTURE(r.title);
        auto documents = connections;
        documents.insert(documents.end(), r.documents.begin(), r.documents.end());
        CHECK_MESSAGE(said(documents, r.options) == r.problems, join(said(documents, r.options), "\n"));
    }
}

const std::vector<std::string> connections{account, vault, heroku};

std::string binding(const std::string& spec) {
    return document("AccessBinding", "b", spec);
}
std::string delivery(const std::string& name, const std::string& spec) {
    return document("HerokuBinding", name, spec);
}
std::string accounts(const std::string& spec, const std::string& name = "two") {
    return document("CloudflareAccount", name, spec);
}
std::string vaults(const std::string& name, const std::string& auth, const std::string& more = "") {
    return document("InfisicalVault", name,
                    "{projectId: other, environment: prod, auth: " + auth + ", statePath: /state" + more + "}");
}

} // namespace

TEST_CASE("fields, types and values follow the schema") {
    check_rules(
        {
            {"nothing wrong", {token("t")}, {}},
            {"unknown field",
             {token("t", "durations: 1h")},
             {R"(unknown field "durations", did you mean "duration"? [$.spec])"}},
            {"unknown field like nothing", {token("t", "colour: red")}, {R"(unknown field "colour" [$.spec])"}},
            {"unknown field of the document", {token("t") + "status: {}\n"}, {R"(unknown field "status" [$])"}},
            {"misspelt, so not missing too",
             {document("ServiceToken", "t", "{credentials: {key: K}}")},
             {R"(unknown field "credentials", did you mean "credential"? [$.spec])"}},
            {"missing field", {document("ServiceToken", "t", "{}")}, {R"("credential" is needed [$.spec])"}},
            {"no spec",
             {"apiVersion: postern/v1alpha1\nkind: ServiceToken\nmetadata: {name: t}\n"},
             {R"("spec" is needed [$])"}},
            {"empty spec", {document("ServiceToken", "t", "")}, {"must be a mapping, but is empty [$.spec]"}},
            {"a list for text", {token("t", "displayName: [a]")}, {"must be text, not a list [$.spec.displayName]"}},
            {"a number for text",
             {token("t", "displayName: 12")},
             {"must be text, not a whole number: put it in quotes [$.spec.displayName]"}},
            {"a quoted number is text", {token("t", "displayName: '12'")}, {}},
            {"text for a list",
             {binding("{tokens: t, applications: [{id: a}]}"), token("t")},
             {"must be a list, not text [$.spec.tokens]"}},
            {"text for a number",
             {binding("{tokens: [t], applications: [{id: a}], smokeTest: {attempts: many}}"), token("t")},
             {"must be a whole number, not text [$.spec.smokeTest.attempts]"}},
            {"a number out of range",
             {binding("{tokens: [t], applications: [{id: a}], smokeTest: {attempts: 0}}"), token("t")},
             {"must be a whole number from 1 to 100 [$.spec.smokeTest.attempts]"}},
            {"a proof by a refusal",
             {binding("{tokens: [t], applications: [{id: a}], smokeTest: {expectStatus: 302}}"), token("t")},
             {"must be a whole number from 200 to 299 [$.spec.smokeTest.expectStatus]"}},
            {"yes is no boolean",
             {token("t"), delivery("d", "{token: t, apps: [shop-a], adopt: yes}")},
             {"must be true or false, not text [$.spec.adopt]"}},
            {"unknown choice",
             {token("t", "mode: observe")},
             {R"(must be Enforce or Observe, not "observe", did you mean "Observe"? [$.spec.mode])"}},
            {"three choices",
             {token("t", "rotation: {strategy: Swap}")},
             {R"(must be Replace, InPlace or Renew, not "Swap" [$.spec.rotation.strategy])"}},
            {"empty text", {token("t", "displayName: ''")}, {"must not be empty [$.spec.displayName]"}},
            {"empty list", {token("t"), delivery("d", "{token: t, apps: []}")}, {"must not be empty [$.spec.apps]"}},
            {"twice in a list",
             {token("t"), delivery("d", "{token: t, apps: [shop-a, shop-a]}")},
             {"is in the list twice: first on line 4 [$.spec.apps[1]]"}},
            {"too long",
             {token("t", "displayName: " + std::string(301, 'x'))},
             {"must not be longer than 300 characters [$.spec.displayName]"}},
            {"characters are counted, not bytes",
             {token("t", "displayName: " + join(std::vector<std::string>(300, "é"), ""))},
             {}},
            {"name",
             {token("Not_a_label")},
             {R"(must be a DNS label: lower-case letters, digits and "-", at most 63 characters, a letter or digit at both ends [$.metadata.name])"}},
            {"labels and annotations",
             {R"({apiVersion: postern/v1alpha1, kind: ServiceToken, spec: {credential: {key: K}},
                metadata: {name: t, labels: {team: console, a/b: c}, annotations: {note: "two\nlines"}}})"},
             {}},
            {"labels are text",
             {R"({apiVersion: postern/v1alpha1, kind: ServiceToken, spec: {credential: {key: K}},
                metadata: {name: t, labels: {a/b: [c]}}})"},
             {R"(must be text, not a list [$.metadata.labels["a/b"]])"}},
        },
        connections);
}

TEST_CASE("documents are of a known version and kind, each name once") {
    const std::string kinds =
        "CloudflareAccount, InfisicalVault, HerokuAccount, ServiceToken, AccessBinding, HerokuBinding";
    check_rules(
        {
            {"version",
             {R"({apiVersion: postern/v1, kind: ServiceToken, metadata: {name: t}, spec: {credential: {key: K}}})"},
             {"must be postern/v1alpha1 [$.apiVersion]"}},
            {"no kind", {"metadata: {name: t}\n"}, {"\"kind\" is needed: one of " + kinds + " [$]"}},
            {"unknown kind",
             {document("ServiceTokens", "t", "{}")},
             {"must be one of " + kinds + ", did you mean \"ServiceToken\"? [$.kind]"}},
            {"kind of a wrong type", {"kind: [ServiceToken]\n"}, {"must be one of " + kinds + " [$.kind]"}},
            {"no mapping", {"- a\n"}, {"a document must be a mapping of apiVersion, kind, metadata and spec [$]"}},
            {"two of a name",
             {token("t"), token("t", "", "OTHER")},
             {"there is another ServiceToken of this name at 4.yaml:1 [$.metadata.name]"}},
            {"one name, two kinds", {token("t"), delivery("t", "{token: t, apps: [shop-a]}")}, {}},
            {"empty documents are no documents", {"# nothing here\n", "", token("t")}, {}},
        },
        connections);
}

TEST_CASE("references name what exists, and may be left out where only one thing can be meant") {
    const auto second = accounts("{accountId: x, apiToken: {env: CLOUDFLARE_X}}");
    check_rules(
        {
            {"dangling",
             {token("t", "account: raks")},
             {R"(there is no CloudflareAccount "raks", did you mean "raxx"? [$.spec.account])"}},
            {"dangling vault",
             {token("t", "vault: elsewhere")},
             {R"(there is no InfisicalVault "elsewhere" [$.spec.vault])"}},
            {"ambiguous",
             {second, token("t")},
             {"which CloudflareAccount is not clear: there are raxx, two [$.spec.account]"}},
            {"named", {second, token("t", "account: two")}, {}},
            {"token of a binding",
             {token("t"), binding("{tokens: [t, tt], applications: [{id: a}]}")},
             {R"(there is no ServiceToken "tt", did you mean "t"? [$.spec.tokens[1]])"}},
            {"token of a delivery",
             {delivery("d", "{token: t, apps: [shop-a]}")},
             {"there is no ServiceToken [$.spec.token]"}},
            {"a wrong document is not missing too",
             {token("t", "mode: On"), delivery("d", "{token: t, apps: [shop-a]}")},
             {R"(must be Enforce or Observe, not "On" [$.spec.mode])"}},
            {"tokens of two accounts",
             {second, token("t", "account: two"), token("u", "account: raxx", "U"),
              binding("{tokens: [t, u], applications: [{id: a}]}")},
             {"is a token of account raxx, the tokens before it are of two [$.spec.tokens[1]]"}},
            {"source from a vault that is not there",
             {accounts("{accountId: x, apiToken: {vault: {key: K, vault: infisicle}}}")},
             {"there is no InfisicalVault of this name, did you mean \"infisical\"? [$.spec.apiToken.vault.vault]"}},
        },
        connections);
    CHECK(said({vault, token("t")}) == std::vector<std::string>{"there is no CloudflareAccount [$.spec.account]"});
    CHECK(said({account, token("t")}) == std::vector<std::string>{"there is no InfisicalVault [$.spec.vault]"});
}

TEST_CASE("nothing is claimed twice") {
    const auto t = token("t");
    check_rules(
        {
            {"vault key",
             {t, token("u")},
             {"two tokens store their credential under this key: first at 4.yaml:1 [$.spec.credential.key]"}},
            {"vault key, path spelt out",
             {t, document("ServiceToken", "u", "{credential: {key: KEY, path: /shop/cloudflare/}}")},
             {"two tokens store their credential under this key: first at 4.yaml:1 [$.spec.credential.key]"}},
            {"another folder", {t, document("ServiceToken", "u", "{credential: {key: KEY, path: /shop/other}}")}, {}},
            {"display name",
             {t, token("u", "displayName: t", "U")},
             {"two tokens of one account have this display name: first at 4.yaml:1 [$.spec.displayName]"}},
            {"adoption",
             {token("t", "adopt: {tokenId: x}"), token("u", "adopt: {tokenId: x}", "U")},
             {"two documents adopt this token: first at 4.yaml:1 [$.spec.adopt.tokenId]"}},
            {"policy name",
             {t, binding("{tokens: [t], policyName: p, applications: [{id: a}]}"),
              document("AccessBinding", "c", "{tokens: [t], policyName: p, applications: [{id: b}, {id: A}]}")},
             {"two policies of one name, \"p\", on this application: first at 5.yaml:1 [$.spec.applications[1]]"}},
            {"policy name elsewhere",
             {t, binding("{tokens: [t], policyName: p, applications: [{id: a}]}"),
              document("AccessBinding", "c", "{tokens: [t], policyName: p, applications: [{id: b}]}")},
             {}},
            {"one application twice",
             {t, binding("{tokens: [t], applications: [{domain: a.raxx.app}, {domain: A.raxx.app}]}")},
             {"two policies of one name, \"b (service token)\", on this application: first at 5.yaml:1 "
              "[$.spec.applications[1]]"}},
            {"config var",
             {t, token("u", "", "U"), delivery("d", "{token: t, apps: [shop-a], configVar: V}"),
              delivery("e", "{token: u, apps: [shop-b, shop-a], configVar: V}")},
             {"config var V of this app is set by two bindings: first at 6.yaml:1 [$.spec.apps[1]]"}},
            {"config var of two",
             {t, token("u", "", "U"), delivery("d", "{token: t, apps: [shop-a], configVar: V}"),
              delivery("e", "{token: u, apps: [shop-a], configVars: {clientId: ID, clientSecret: V}}")},
             {"config var V of this app is set by two bindings: first at 6.yaml:1 [$.spec.apps[0]]"}},
            {"one config var for both",
             {t, delivery("d", "{token: t, apps: [shop-a], configVars: {clientId: V, clientSecret: V}}")},
             {"must not be the config var of the client id [$.spec.configVars.clientSecret]"}},
            {"config var by default",
             {t, delivery("d", "{token: t, apps: [shop-a]}"), delivery("e", "{token: t, apps: [shop-a]}")},
             {"config var KEY of this app is set by two bindings: first at 5.yaml:1 [$.spec.apps[0]]"}},
            {"a login",
             {accounts("{accountId: x, apiToken: {vault: {key: KEY}}}"), token("t", "account: raxx")},
             {"would be written over what CloudflareAccount two logs in with [$.spec.credential.key]"}},
        },
        connections);
    // Two names for one vault do not make two keys, nor two state folders.
    auto twin = vault;
    twin.replace(twin.find("name: infisical"), 15, "name: twin");
    check_rules({{"key",
                  {twin, token("t", "vault: twin"), token("u", "vault: infisical")},
                  {"two tokens store their credential under this key: first at 5.yaml:1 [$.spec.credential.key]"}}},
                connections);
}

TEST_CASE("what contradicts itself is refused") {
    check_rules(
        {
            {"times",
             {token("t", "duration: 100h, rotation: {renewBefore: 60h, overlap: 40h}")},
             {"100h must be longer than renewBefore 60h and overlap 40h together [$.spec.duration]"}},
            {"times that just fit", {token("t", "duration: 100h, rotation: {renewBefore: 59h, overlap: 40h}")}, {}},
            {"times by default",
             {token("t", "duration: 24h")},
             {"24h must be longer than renewBefore 2h (the default) and overlap 48h (the default) together "
              "[$.spec.duration]"}},
            {"forever", {token("t", "duration: forever")}, {}},
            {"forever before its end",
             {token("t", "duration: forever, rotation: {renewBefore: 1h}")},
             {"contradicts duration forever: there is no expiry [$.spec.rotation.renewBefore]"}},
            {"renewing forever",
             {token("t", "duration: forever, rotation: {strategy: Renew}")},
             {"contradicts duration forever: there is no expiry to extend [$.spec.rotation.strategy]"}},
            {"forever, but a new secret now and then", {token("t", "duration: forever, rotation: {every: 2160h}")}, {}},
            {"a new secret that is none",
             {token("t", "rotation: {strategy: Renew, every: 2160h}")},
             {"contradicts strategy Renew, which never replaces the secret [$.spec.rotation.every]"}},
            {"always in an overlap",
             {token("t", "rotation: {every: 48h}")},
             {"must be longer than the overlap, 48h [$.spec.rotation.every]"}},
            {"an overlap that Cloudflare does not grant",
             {token("t", "rotation: {strategy: InPlace, overlap: 721h}")},
             {"must not be longer than 720h with strategy InPlace: Cloudflare lets the old secret live no longer "
              "[$.spec.rotation.overlap]"}},
            {"no time",
             {token("t", "rotation: {overlap: 0s}")},
             {"must be a duration longer than zero: 8760h, 1h30m, 500ms [$.spec.rotation.overlap]"}},
            {"days",
             {token("t", "duration: 365d")},
             {"must be a duration in Go style, longer than zero: 8760h, 1h30m, 500ms, or forever [$.spec.duration]"}},
            {"more than time itself",
             {token("t", "duration: 99999999999h")},
             {"must be a duration longer than zero: 8760h, 1h30m, 500ms [$.spec.duration]"}},
            {"one var and two vars",
             {token("t"),
              delivery("d", "{token: t, apps: [shop-a], configVar: V, configVars: {clientId: A, clientSecret: B}}")},
             {"configVar and configVars exclude each other [$.spec]"}},
            {"project",
             {document(
                 "InfisicalVault", "v",
                 "{projectId: p, projectSlug: p, environment: e, auth: {token: {env: INFISICAL_X}}, statePath: /s}")},
             {"exactly one of projectId and projectSlug is needed [$.spec]"}},
            {"no project",
             {document("InfisicalVault", "v", "{environment: e, auth: {token: {env: INFISICAL_X}}, statePath: /s}")},
             {"exactly one of projectId and projectSlug is needed [$.spec]"}},
            {"two logins",
             {vaults("v",
                     "{token: {env: INFISICAL_X}, universalAuth: {clientId: a, clientSecret: {env: INFISICAL_Y}}}")},
             {"exactly one of universalAuth and token is needed [$.spec.auth]"}},
            {"state among credentials",
             {vaults("v", "{token: {env: INFISICAL_X}}", ", vendorPaths: {cloudflare: /state}")},
             {"must not be the statePath of vault v [$.spec.vendorPaths.cloudflare]"}},
            {"credential among state",
             {document("ServiceToken", "t", "{credential: {key: K, path: /shop/postern/}}")},
             {"must not be the statePath of vault infisical [$.spec.credential.path]"}},
            {"authorization of another",
             {token("t", "authorization: I authorize OTHER")},
             {"authorizes another credential: this one is authorized by \"I authorize KEY\" [$.spec.authorization]"}},
            {"authorization", {token("t", "authorization: I authorize KEY")}, {}},
            {"authorization again", {token("t", "authorization: I authorize KEY again 2027-01-31")}, {}},
            {"authorization on no day",
             {token("t", "authorization: I authorize KEY again 2027-02-30")},
             {"ends in a date that does not exist [$.spec.authorization]"}},
            {"authorization in other words",
             {token("t", "authorization: go ahead")},
             {"must read \"I authorize <credential key>\" or \"I authorize <credential key> again <date>\", the date "
              "as 2027-01-31 [$.spec.authorization]"}},
            {"a token in our own key",
             {token("postern")},
             {"must not be postern, which names a key of Postern's own [$.metadata.name]"}},
            {"a credential in our own key",
             {token("t", "", "postern")},
             {"must be made of letters, digits, \"_\", \".\" and \"-\", and must not be postern, which names a key "
              "of Postern's own [$.spec.credential.key]"}},
            {"a name of a rotation",
             {token("t", "displayName: probe (pending 1)")},
             {"must be one line without blanks at its ends, and must not contain \"(pending\" or \"(retired\", which "
              "mark the tokens of a rotation [$.spec.displayName]"}},
        },
        connections);
}

TEST_CASE("a vault does not hold its own login") {
    const std::string paths = ", vendorPaths: {infisical: /logins}";
    const auto from = [](const std::string& other) { return "{token: {vault: {key: K, vault: " + other + "}}}"; };
    check_rules({{"itself", {vaults("a", from("a"), paths)}, {"a vault cannot hold its own login [$.spec.auth.token]"}},
                 {"by way of another",
                  {vaults("a", from("b"), paths), vaults("b", from("a"), paths)},
                  {"the login of this vault comes, by way of vault b, from itself [$.spec.auth.token]",
                   "the login of this vault comes, by way of vault a, from itself [$.spec.auth.token]"}},
                 {"a chain",
                  {vaults("a", from("b"), paths), vaults("b", from("c"), paths),
                   vaults("c", "{token: {env: INFISICAL_X}}", paths)},
                  {}},
                 {"the tail of a circle",
                  {vaults("a", from("b"), paths), vaults("b", from("b"), paths)},
                  {"a vault cannot hold its own login [$.spec.auth.token]"}}},
                {});
    const auto only = vaults("a", "{universalAuth: {clientId: c, clientSecret: {vault: {key: K}}}}", paths);
    CHECK(said({only}) ==
          std::vector<std::string>{"a vault cannot hold its own login [$.spec.auth.universalAuth.clientSecret]"});
}

TEST_CASE("apps, hosts and config vars are what they are called, and allowed") {
    const auto t = token("t");
    const auto smoke = [](const std::string& what) {
        return binding("{tokens: [t], applications: [{id: a}], smokeTest: {" + what + "}}");
    };
    const std::string no_host =
        "must be the name of a host, without scheme, user, port or path, and no address [$.spec.smokeTest.hosts[0]]";
    const std::string no_path =
        "must be a path that begins with one \"/\", without dot segments, blanks or \"#\" [$.spec.smokeTest.path]";
    const std::string no_var = "must be the name of a config var: letters, digits and \"_\", no digit first, not "
                               "beginning with \"__\" or \"HEROKU_\" [$.spec.configVar]";
    std::vector<rule> rules{
        {"app",
         {t, delivery("d", "{token: t, apps: [Shop]}")},
         {"must be the name of a Heroku app: 3 to 30 lower-case letters, digits and \"-\", a letter first "
          "[$.spec.apps[0]]"}},
        {"app of others",
         {t, delivery("d", "{token: t, apps: [shop-a, store]}")},
         {"is none of the apps that account heroku may touch [$.spec.apps[1]]"}},
        {"host of others",
         {t, binding("{tokens: [t], applications: [{domain: console.raxx.app/x}, {domain: raxx.dev}]}")},
         {"is none of the hosts that account raxx may touch [$.spec.applications[1].domain]"}},
        {"smoke test at others",
         {t, smoke("hosts: [a.raxx.app, b.raxx.dev]")},
         {"is none of the hosts that account raxx may touch [$.spec.smokeTest.hosts[1]]"}},
        {"domain with a scheme",
         {t, binding("{tokens: [t], applications: [{domain: 'https://a.raxx.app'}]}")},
         {"must be the domain of an application: a host without scheme or port, perhaps with a path "
          "[$.spec.applications[0].domain]"}},
        {"application of two names",
         {t, binding("{tokens: [t], applications: [{id: a, name: b}]}")},
         {"exactly one of id, domain and name is needed [$.spec.applications[0]]"}},
        {"a key that is no config var",
         {token("t", "", "my.key"), delivery("d", "{token: t, apps: [shop-a]}")},
         {"is needed: the credential's key my.key cannot name a config var [$.spec.configVar]"}},
    };
    for (std::string host : {"'https://a.raxx.app'", "a.raxx.app/x", "me@a.raxx.app", "'a.raxx.app:443'", "10.0.0.1",
                             "'[::1]'", "localhost", "'*.raxx.app'", "a..raxx.app"})
        rules.push_back({host, {t, smoke("hosts: [" + host + "]")}, {no_host}});
    for (std::string path :
         {"health", "//raxx.dev/health", "/a/../b", "/a/%2e%2E/b", "/..", "'/a b'", "'/a#b'", "/a/./b", "'/a/..?x'"})
        rules.push_back({path, {t, smoke("path: " + path)}, {no_path}});
    for (std::string path : {"/", "/health", "/a..b/c", "'/a?b=c'", "/.well-known/x"})
        rules.push_back({path, {t, smoke("path: " + path)}, {}});
    for (std::string var : {"'1A'", "__A", "HEROKU_A", "A-B", "A.B", "'A B'"})
        rules.push_back({var, {t, delivery("d", "{token: t, apps: [shop-a], configVar: " + var + "}")}, {no_var}});
    for (std::string key : {"\"a\\nb\"", "\"a\\n\"", "'a:b'", "a/b", "'a b'"})
        rules.push_back({key,
                         {token("t", "", key)},
                         {"must be made of letters, digits, \"_\", \".\" and \"-\", and must not be postern, which "
                          "names a key of Postern's own [$.spec.credential.key]"}});
    rules.push_back({"long key",
                     {token("t", "", std::string(101, 'K'))},
                     {"must not be longer than 100 characters [$.spec.credential.key]"}});
    check_rules(rules, connections);
}

TEST_CASE("sources stay within their limits") {
    const auto from = [](const std::string& source) { return accounts("{accountId: x, apiToken: " + source + "}"); };
    const std::string secret = "a secret is not written here, only where it is to be found: {env: NAME}, {file: "
                               "PATH} or {vault: {key: NAME}} [$.spec.apiToken]";
    const std::string no_env = "only names that begin with CLOUDFLARE_, INFISICAL_, HEROKU_ or POSTERN_ are read; "
                               "others need --allow-env [$.spec.apiToken.env]";
    const std::string no_file = "must be a file below the folder of --secrets-dir [$.spec.apiToken.file]";
    const std::string no_dots = "must be a path without dot segments [$.spec.apiToken.file]";
    const std::string one_of = "exactly one of env, file and vault is needed [$.spec.apiToken]";
    const spec::load_options dir{{}, "/run/secrets/", {}};
    check_rules(
        {
            {"literal", {from("abc")}, {secret}},
            {"number", {from("123")}, {secret}},
            {"list", {from("[abc]")}, {secret}},
            {"nothing", {from("")}, {secret}},
            {"no source", {from("{}")}, {one_of}},
            {"two sources", {from("{env: CLOUDFLARE_A, file: a}")}, {one_of}},
            {"unknown source",
             {from("{value: abc}")},
             {"unknown field, only env, file and vault are possible here [$.spec.apiToken]"}},
            {"any variable", {from("{env: AWS_SECRET_ACCESS_KEY}")}, {no_env}},
            {"lower case", {from("{env: cloudflare_x}")}, {no_env}},
            {"allowed variable", {from("{env: MY_TOKEN}")}, {}, {{"MY_TOKEN"}, {}, {}}},
            {"another variable than allowed", {from("{env: MY_TOKENS}")}, {no_env}, {{"MY_TOKEN"}, {}, {}}},
            {"allowed variables", {from("{env: MY_TOKENS}")}, {}, {{"MY_*"}, {}, {}}},
            {"file without a folder",
             {from("{file: a}")},
             {"no file is read without --secrets-dir [$.spec.apiToken.file]"}},
            {"file", {from("{file: a/b}")}, {}, dir},
            {"absolute file", {from("{file: /run/secrets/a}")}, {}, dir},
            {"file elsewhere", {from("{file: /etc/passwd}")}, {no_file}, dir},
            {"file beside", {from("{file: /run/secretsX/a}")}, {no_file}, dir},
            {"the folder itself", {from("{file: /run/secrets}")}, {no_file}, dir},
            {"way out", {from("{file: a/../../b}")}, {no_dots}, dir},
            {"absolute way out", {from("{file: /run/secrets/../x}")}, {no_dots}, dir},
            {"vendor path", {from("{vault: {key: K, path: /shop/cloudflare}}")}, {}},
            {"another folder",
             {from("{vault: {key: K, path: /shop/cloudflares}}")},
             {"is none of the vendor paths of vault infisical, did you mean \"/shop/cloudflare\"? "
              "[$.spec.apiToken.vault.path]"}},
            {"the state's folder",
             {from("{vault: {key: K, path: /shop/postern}}")},
             {"is none of the vendor paths of vault infisical [$.spec.apiToken.vault.path]"}},
            {"no folder for this vendor",
             {document("HerokuAccount", "h", "{apiKey: {vault: {key: K}}}")},
             {"is needed: vault infisical has no vendor path for heroku [$.spec.apiKey.vault.path]"}},
            {"an id may be written out", {accounts("{accountId: abc, apiToken: {env: CLOUDFLARE_X}}")}, {}},
            {"but not as a number",
             {accounts("{accountId: 123, apiToken: {env: CLOUDFLARE_X}}")},
             {"must be text or a mapping, not a whole number: put it in quotes [$.spec.accountId]"}},
            {"an id's source has limits too",
             {accounts("{accountId: {env: HOME}, apiToken: {env: CLOUDFLARE_X}}")},
             {"only names that begin with CLOUDFLARE_, INFISICAL_, HEROKU_ or POSTERN_ are read; others need "
              "--allow-env [$.spec.accountId.env]"}},
        },
        connections);
}

TEST_CASE("APIs are the vendors' own, loopback, or allowed by flag") {
    const auto at = [](const std::string& url) {
        return accounts("{apiUrl: '" + url + "', accountId: x, apiToken: {env: CLOUDFLARE_X}}");
    };
    const auto infisical_at = [](const std::string& url) {
        return vaults("v", "{token: {env: INFISICAL_X}}", ", url: '" + url + "'");
    };
    const std::string foreign = "this origin is neither api.cloudflare.com over https nor loopback; others need "
                                "--allow-origin [$.spec.apiUrl]";
    const std::string no_url = "must be an https URL without user, query or fragment [$.spec.apiUrl]";
    const std::string plain = "must be an https URL: plain http is for loopback only [$.spec.apiUrl]";
    std::vector<rule> rules;
    for (std::string url :
         {"https://api.cloudflare.com/client/v4/", "https://API.cloudflare.com:443/client/v4",
          "http://127.0.0.1:8080/client/v4", "https://localhost:9/x", "http://[::1]:80", "http://127.9.9.9"})
        rules.push_back({url, {at(url)}, {}});
    for (std::string url :
         {"https://api.cloudflare.com.evil.dev", "https://evil.dev/api.cloudflare.com", "https://cloudflare.com",
          "https://api.cloudflare.com:8443", "https://xapi.cloudflare.com", "https://127.0.0.1.evil.dev",
          "https://[::ffff:10.0.0.1]", "https://localhost.evil.dev", "https://127.1"})
        rules.push_back({url, {at(url)}, {foreign}});
    for (std::string url : {"https://user@api.cloudflare.com", "https://api.cloudflare.com?x",
                            "https://api.cloudflare.com#x", "ftp://api.cloudflare.com", "api.cloudflare.com",
                            "https://", "https://api.cloudflare.com\\@evil.dev", "https://api.cloudflare.com:99999",
                            "https://a..b", "https://evil.dev:443:80", "https:///x", "https://[::1", "https://a%2eb"})
        rules.push_back({url, {at(url)}, {no_url}});
    for (std::string url : {"https://api.cloudflare.com/../x", "https://api.cloudflare.com/client/./v4",
                            "http://127.0.0.1:8080/client/.."})
        rules.push_back({url, {at(url)}, {"must be a URL without dot segments [$.spec.apiUrl]"}});
    const auto heroku_at = [](const std::string& url) {
        return document("HerokuAccount", "h", "{apiUrl: '" + url + "', apiKey: {env: HEROKU_X}}");
    };
    rules.push_back({"Heroku's own", {heroku_at("https://api.heroku.com")}, {}});
    for (std::string url : {"https://heroku.com", "https://api.heroku.com:8443", "https://api.cloudflare.com"})
        rules.push_back({url,
                         {heroku_at(url)},
                         {"this origin is neither api.heroku.com over https nor loopback; others need --allow-origin "
                          "[$.spec.apiUrl]"}});
    for (std::string url : {"http://api.cloudflare.com", "http://10.0.0.1"})
        rules.push_back({url, {at(url)}, {plain}});
    rules.push_back(
        {"named", {at("https://proxy.example.com:8443/cf")}, {}, {{}, {}, {"https://Proxy.example.com:8443"}}});
    rules.push_back({"another port than named",
                     {at("https://proxy.example.com/cf")},
                     {foreign},
                     {{}, {}, {"https://proxy.example.com:8443"}}});
    rules.push_back(
        {"named without TLS", {at("http://proxy.example.com")}, {plain}, {{}, {}, {"http://proxy.example.com"}}});
    rules.push_back({"named wrongly",
                     {},
                     {"--allow-origin: must be an origin such as https://vault.example.com"},
                     {{}, {}, {"example.com"}}});
    rules.push_back({"https://eu.infisical.com/base", {infisical_at("https://eu.infisical.com/base")}, {}});
    rules.push_back({"https://infisical.com", {infisical_at("https://infisical.com")}, {}});
    rules.push_back({"https://evilinfisical.com",
                     {infisical_at("https://evilinfisical.com")},
                     {"this origin is neither infisical.com and its subdomains over https nor loopback; others need "
                      "--allow-origin [$.spec.url]"}});
    check_rules(rules, connections);
}

TEST_CASE("what the operator's flags do not list, no document reaches") {
    const std::string app = "is none of the apps that this Postern may touch (--only-apps) [$.spec.apps[0]]";
    const std::string host =
        "is none of the hosts that this Postern may touch (--only-hosts) [$.spec.applications[0].domain]";
    const auto folder = [](const std::string& path) {
        return "is in none of the vault folders that this Postern may use (--only-folders) [$.spec." + path + "]";
    };
    const auto with = [](std::vector<std::string> hosts, std::vector<std::string> apps,
                         std::vector<std::string> folders) {
        spec::load_options options;
        options.only_hosts = std::move(hosts);
        options.only_apps = std::move(apps);
        options.only_folders = std::move(folders);
        return said({all_documents()}, options);
    };
    using problems = std::vector<std::string>;
    CHECK(with({"*.raxx.app"}, {"shop-*"}, {"/shop"}) == problems{});
    CHECK(with({"b.raxx.app"}, {}, {}) == problems{host});
    CHECK(with({}, {"other-*", "shop"}, {}) == problems{app});
    CHECK(with({}, {}, {"/shop/cloudflare/", "/shop/post"}) == problems{folder("statePath")});
    CHECK(with({}, {}, {"/shop/postern"}) == problems{folder("vendorPaths.cloudflare")});
    CHECK(with({}, {}, {"/SHOP"}).size() == 2);
    CHECK(with({}, {}, {"/"}) == problems{});
    CHECK(with({}, {}, {""}).size() == 2);
}

} // namespace rules_test
