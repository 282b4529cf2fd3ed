#include <boost/asio/ip/tcp.hpp>
#include <boost/json.hpp>
#include <boost/url/parse.hpp>
#include <doctest/doctest.h>

#include <array>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace program_test {

// The program as a user meets it: arguments, environment, exit codes, streams; against the miniature cloud.

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

const std::string binaries = POSTERN_BINARY_DIR;

std::string read(const fs::path& file) {
    std::ifstream in{file};
    return {std::istreambuf_iterator<char>{in}, {}};
}

struct scratch {
    fs::path at;
    scratch() {
        auto pattern = (fs::temp_directory_path() / "postern-cli-XXXXXX").string();
        at = mkdtemp(pattern.data());
    }
    ~scratch() { fs::remove_all(at); }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
};

struct ended {
    int code = -1;
    std::string out;
    std::string err;
};

// `environment` is what the process has besides PATH: "A=b C=d".
ended run(const std::string& arguments, const std::string& environment = {}) {
    const scratch here;
    const auto command = "env -i PATH=\"$PATH\" " + environment + " " + binaries + "/postern " + arguments + " >" +
                         (here.at / "out").string() + " 2>" + (here.at / "err").string() + " </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(here.at / "out"), read(here.at / "err")};
}

bool says(const std::string& text, std::string_view words) {
    return text.find(words) != std::string::npos;
}

// postern-cloud, for as long as this lives.
class cloud {
public:
    cloud() {
        const auto said = (here_.at / "err").string();
        std::array<int, 2> ends{};
        if (pipe(ends.data()) != 0 || (pid_ = fork()) < 0)
            throw std::runtime_error("no process");
        if (pid_ == 0) {
            dup2(ends[1], STDOUT_FILENO);
            dup2(creat(said.c_str(), 0600), STDERR_FILENO);
            const auto name = binaries + "/postern-cloud";
            execl(name.c_str(), name.c_str(), "--exit-with-parent", nullptr);
            _exit(127);
        }
        close(ends[1]);
        const std::unique_ptr<FILE, int (*)(FILE*)> out{fdopen(ends[0], "r"), fclose};
        std::array<char, 8192> line{};
        if (std::fgets(line.data(), line.size(), out.get()) == nullptr)
            throw std::runtime_error("postern-cloud said nothing");
        is_ = json::parse(line.data()).as_object();
    }
    // It ends with 3 where a consumer was refused.
    ~cloud() {
        if (pid_ == 0)
            return;
        const auto how = end();
        CHECK_MESSAGE(how.code == 0, how.err);
    }
    cloud(const cloud&) = delete;
    cloud& operator=(const cloud&) = delete;

    ended end() {
        int status = 0;
        const auto pid = std::exchange(pid_, 0);
        kill(pid, SIGTERM);
        waitpid(pid, &status, 0);
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, {}, read(here_.at / "err")};
    }

    // One request of its control origin.
    void control(const std::string& path, const json::object& body) const {
        const auto address = (*this)["control"];
        const auto origin = boost::urls::parse_uri(address).value(); // looks into `address`
        const auto text = json::serialize(body);
        boost::asio::ip::tcp::iostream line{std::string{origin.host()}, std::string{origin.port()}};
        line << "POST " << path << " HTTP/1.1\r\nHost: control\r\nConnection: close\r\nContent-Length: " << text.size()
             << "\r\n\r\n"
             << text << std::flush;
        std::string protocol;
        int status = 0;
        line >> protocol >> status;
        REQUIRE(status == 200);
    }

    std::string operator[](const char* name) const { return json::value_to<std::string>(is_.at(name)); }

    std::string environment() const {
        return "CLOUDFLARE_ACCOUNT_ID=" + (*this)["accountId"] +
               " INFISICAL_CLIENT_ID=" + (*this)["infisicalClientId"] +
               " INFISICAL_CLIENT_SECRET=" + (*this)["infisicalClientSecret"] +
               " HEROKU_API_KEY=" + (*this)["herokuApiKey"] + " POSTERN_CONNECT_TO=" + (*this)["edge"];
    }

    // Documents for one credential, in that folder.
    void write_specs(const fs::path& folder, const std::string& authorization) const {
        fs::create_directories(folder);
        std::ofstream{folder / "all.yaml"}
            << "apiVersion: postern/v1alpha1\nkind: CloudflareAccount\nmetadata: {name: raxx}\nspec:\n  apiUrl: "
            << (*this)["cloudflare"]
            << "\n  accountId: {env: CLOUDFLARE_ACCOUNT_ID}\n  apiToken: {vault: {key: CLOUDFLARE_ACCESS_MGMT_TOKEN}}\n"
            << "---\napiVersion: postern/v1alpha1\nkind: InfisicalVault\nmetadata: {name: infisical}\nspec:\n  url: "
            << (*this)["infisical"] << "\n  projectId: " << (*this)["projectId"] << "\n  environment: prod\n"
            << "  auth: {universalAuth: {clientId: {env: INFISICAL_CLIENT_ID}, clientSecret: {env: "
               "INFISICAL_CLIENT_SECRET}}}\n"
            << "  vendorPaths: {cloudflare: /MooseQuest/cloudflare}\n  statePath: /MooseQuest/postern\n"
            << "---\napiVersion: postern/v1alpha1\nkind: HerokuAccount\nmetadata: {name: heroku}\nspec: {apiUrl: \""
            << (*this)["heroku"] << "\", apiKey: {env: HEROKU_API_KEY}}\n"
            << "---\napiVersion: postern/v1alpha1\nkind: ServiceToken\nmetadata: {name: probe}\nspec:\n"
            << "  duration: 8760h\n  credential: {key: CF_ACCESS_SVC_PROBE, cadenceKey: cf_access_service_token}\n"
            << (authorization.empty() ? "" : "  authorization: " + authorization + "\n")
            << "---\napiVersion: postern/v1alpha1\nkind: AccessBinding\nmetadata: {name: probe}\nspec: {tokens: "
               "[probe], "
            << "applications: [{id: " << (*this)["appId"] << "}]}\n"
            << "---\napiVersion: postern/v1alpha1\nkind: HerokuBinding\nmetadata: {name: probe}\nspec: {token: probe, "
            << "apps: [" << (*this)["herokuApp"] << "]}\n";
    }

private:
    scratch here_;
    pid_t pid_ = 0;
    json::object is_;
};

} // namespace

TEST_CASE("usage errors are 1 and on stderr; help and version are 0 and on stdout") {
    const std::string specs = std::string{POSTERN_SOURCE_DIR} + "/specs";
    for (const std::string arguments :
         {"", "fly", "plan", "plan --bogus SPECS", "plan -o yaml SPECS", "apply --wait soon SPECS",
          "apply --wait -5s SPECS", "plan --request-timeout 0s SPECS", "plan \"\"", "plan --max-changes 101 SPECS",
          "plan --connect-to nowhere SPECS", "plan --log-level loud SPECS", "plan --ca-file /nonexistent SPECS",
          "plan /nonexistent"}) {
        auto r = run(arguments.substr(0, arguments.find("SPECS")) + (says(arguments, "SPECS") ? specs : ""));
        CHECK_MESSAGE(r.code == 1, arguments);
        CHECK_MESSAGE(r.out.empty(), arguments);
        CHECK_MESSAGE(!r.err.empty(), arguments);
    }
    auto version = run("--version");
    CHECK(version.code == 0);
    CHECK(version.out.starts_with("postern "));
    for (auto verb : {"", "validate ", "plan ", "apply "}) {
        auto help = run(std::string{verb} + "--help");
        CHECK(help.code == 0);
        CHECK_MESSAGE((says(help.out, "Exit code") || says(help.out, "How to begin")), verb);
    }
    auto named = run("plan " + specs, "POSTERN_REQUEST_TIMEOUT=soon");
    CHECK(named.code == 1);
    CHECK(says(named.err, "--request-timeout"));
    CHECK(says(named.err, "POSTERN_REQUEST_TIMEOUT"));
    CHECK(says(run("validat " + specs).err, "There is no command \"validat\", did you mean \"validate\"?"));
    CHECK(says(run("frobnicate").err, "there are validate, plan, apply"));
    CHECK(says(run("--log-level debug").err, "subcommand is required"));
}

TEST_CASE("every flag has its twin in the environment") {
    for (const std::string verb : {"", "validate ", "plan ", "apply ", "rotate "}) {
        std::istringstream help{run(verb + "--help").out};
        for (std::string line; std::getline(help, line);) {
            const auto at = line.find("--");
            if (!line.starts_with("  -") || says(line, "--help") || says(line, "--version"))
                continue;
            std::string twin = "(Env:POSTERN_";
            for (char c : line.substr(at + 2, line.find_first_of(" =", at) - at - 2))
                twin += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            CHECK_MESSAGE(says(line, twin + ")"), line);
        }
    }
}

TEST_CASE("flags that take lists do not take the documents with them") {
    const std::string specs = std::string{POSTERN_SOURCE_DIR} + "/specs";
    auto r = run("validate --allow-env A --allow-env B,C --allow-origin https://x.example "
                 "--only-hosts *.raxx.app --only-folders /MooseQuest,/other --only-apps raxx-console-* " +
                 specs);
    CHECK_MESSAGE(r.code == 0, r.err);
    r = run("validate --only-apps raxx-console-api " + specs);
    CHECK(r.code == 1);
    CHECK_MESSAGE(r.err.find("--only-apps") != std::string::npos, r.err);
}

TEST_CASE("what cannot be told is no success") {
    for (const std::string& arguments :
         {"validate " + std::string{POSTERN_SOURCE_DIR} + "/specs", std::string{"--help"}}) {
        const auto command = binaries + "/postern " + arguments + " >/dev/full 2>/dev/null";
        CHECK_MESSAGE(WEXITSTATUS(std::system(command.c_str())) == 1, arguments);
    }
}

TEST_CASE("validate: the shipped documents are fine, wrong ones are told with their place") {
    auto fine = run("validate " + std::string{POSTERN_SOURCE_DIR} + "/specs");
    CHECK_MESSAGE(fine.code == 0, fine.err);
    CHECK(says(fine.out, "2 ServiceTokens"));
    const scratch here;
    std::ofstream{here.at / "a.yaml"}
        << "apiVersion: postern/v1alpha1\nkind: ServiceTokn\nmetadata: {name: a}\nspec: {}\n";
    auto wrong = run("validate " + here.at.string());
    CHECK(wrong.code == 1);
    CHECK(says(wrong.err, "a.yaml:2:"));
    CHECK(says(wrong.err, "ServiceToken"));
    CHECK(wrong.out.empty());
}

TEST_CASE("plan, apply and plan again, from nothing to no changes") {
    const cloud there;
    const scratch here;
    there.write_specs(here.at, "I authorize CF_ACCESS_SVC_PROBE");
    const auto specs = here.at.string();

    auto planned = run("plan -o json " + specs, there.environment());
    CHECK_MESSAGE(planned.code == 2, planned.err);
    auto document = json::parse(planned.out);
    CHECK(document.at("steps").as_array().size() > 5);
    auto text = run("plan " + specs, there.environment());
    CHECK(text.code == 2);
    CHECK(says(text.out, "\nPlan: "));
    CHECK(says(text.out, "cf_access_service_token"));
    CHECK(!says(text.out, "\x1b"));

    auto refused = run("apply " + specs, there.environment());
    CHECK(refused.code == 1);
    CHECK(says(refused.err, "--auto-approve"));
    CHECK(run("plan " + specs, there.environment()).code == 2);

    auto braked = run("apply --auto-approve --observe " + specs, there.environment());
    CHECK(braked.code == 0);
    CHECK(run("plan " + specs, there.environment()).code == 2);

    auto applied = run("apply " + specs + " --log-level debug", there.environment() + " POSTERN_AUTO_APPROVE=true");
    CHECK_MESSAGE(applied.code == 0, applied.out, applied.err);
    CHECK(says(applied.out, "probe: prove https://" + there["appHost"] + "/health … passed\n"));
    CHECK(says(applied.out, "\nApplied: "));
    CHECK(says(applied.err, "\"event\":\"http\""));

    CHECK(run("plan " + specs, there.environment()).code == 0);
    auto again = run("apply --auto-approve -o json " + specs, there.environment());
    CHECK(again.code == 0);
    CHECK(json::parse(again.out).at("steps").as_array().empty());
}

TEST_CASE("the miniature cloud tells by its exit status that a consumer was refused, unless that was meant") {
    const std::string variable = "CF_ACCESS_SVC_PROBE";
    for (const bool meant : {false, true}) {
        CAPTURE(meant);
        cloud there;
        const scratch here;
        there.write_specs(here.at, "I authorize " + variable);
        auto applied = run("apply --auto-approve " + here.at.string(), there.environment());
        REQUIRE_MESSAGE(applied.code == 0, applied.err);
        json::object change{{"name", there["herokuApp"]}, {"config", json::object{{variable, "garbage"}}}};
        if (meant)
            change["onPurpose"] = "a test of the excuse";
        there.control("/state/heroku-apps", change);
        const auto how = there.end();
        CHECK(how.code == (meant ? 0 : 3));
        CHECK(says(how.err, "heroku:" + there["herokuApp"] + "/" + variable + " was refused at " + there["appHost"]) !=
              meant);
    }
}

TEST_CASE("apply: 3 where somebody is needed, 1 where something cannot be reached, and 1 beats 3") {
    const cloud there;
    const scratch here;
    there.write_specs(here.at, "");
    const auto specs = here.at.string();
    auto blocked = run("apply --auto-approve " + specs, there.environment());
    CHECK_MESSAGE(blocked.code == 3, blocked.out, blocked.err);
    CHECK(says(blocked.out, "Needs a person:"));
    CHECK(says(blocked.out, "I authorize CF_ACCESS_SVC_PROBE"));
    auto unreachable = run("apply --auto-approve " + specs, there.environment() + " HEROKU_API_KEY=wrong");
    CHECK_MESSAGE(unreachable.code == 1, unreachable.out, unreachable.err);
    CHECK(run("plan " + specs, there.environment() + " HEROKU_API_KEY=wrong").code == 1);
}

} // namespace program_test
