#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace reveal_test {

// secret::reveal() is the one door through which a secret's bytes leave. Whoever opens it in a new file adds the file
// here, with the reason, and has it looked at.
TEST_CASE("reveal() is called where it has to be and nowhere else") {
    const std::set<std::string> allowed{
        "base/secret.hpp",                // itself
        "base/secret.cpp",                // comparison and fingerprint
        "cli/status.cpp",                 // the endpoint's answer, which holds no secret, is parsed
        "net/json.cpp",                   // answers are parsed
        "net/request_text.cpp",           // requests are written to the wire
        "provider/call.cpp",              // the bearer header
        "provider/edge.cpp",              // the two headers; the page that refused
        "provider/git_remote.cpp",        // the login of a fetch
        "provider/heroku.cpp",            // the body of a PATCH
        "provider/infisical.cpp",         // the body of a write; the placeholder is recognised
        "provider/infisical_session.cpp", // the body of a login
        "provider/words.cpp",             // a remote that echoes a secret is struck out
        "run/endpoint.cpp",               // Host and the bearer header are read, a hook's body is signed
        "run/execute_record.cpp",         // records, which hold no secret, and rows that are compared
        "run/execute_vault.cpp",          // what was written is read back and compared
        "run/key_ring.cpp",               // client id and secret are put together and taken apart
        "run/record_codec.cpp",           // the folder's own key
        "run/sources.cpp",                // values from the environment and files, trimmed
        "run/views.cpp",                  // what the vault and the apps hold becomes fingerprints
    };
    namespace fs = std::filesystem;
    const fs::path root = fs::path{POSTERN_SOURCE_DIR} / "controller";
    std::set<std::string> callers;
    for (const auto& entry : fs::recursive_directory_iterator{root}) {
        if (!entry.is_regular_file())
            continue;
        std::ifstream in{entry.path()};
        std::ostringstream text;
        text << in.rdbuf();
        if (text.str().find("reveal()") != std::string::npos)
            callers.insert(fs::relative(entry.path(), root).generic_string());
    }
    for (const auto& file : callers)
        CHECK_MESSAGE(allowed.contains(file), file, " reveals secrets and is not on the list");
    for (const auto& file : allowed)
        CHECK_MESSAGE(callers.contains(file), file, " is on the list and reveals nothing");
}

} // namespace reveal_test
