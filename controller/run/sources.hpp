#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "domain/desired.hpp"
#include "provider/infisical.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// Where the documents' ValueSources get their values: the environment, files, and the folders of the vaults as they
// were listed in this pass. Nothing is cached here: what is read is as fresh as the lists. Errors name the source,
// never a value.
namespace postern::run {

// What a process can read besides the vaults.
struct reach {
    std::function<std::optional<secret>(const std::string& name)> env;
    std::function<result<secret>(const std::string& path)> file;
};

// The process's environment, and the files below `secrets_dir` (none where that is empty; links that lead out of it do
// not count as below).
reach reach_of_process(std::string secrets_dir);

// Each folder that was listed in this pass, by vault and path.
using folder_lists = std::map<std::pair<std::string, std::string>, result<std::vector<provider::infisical::entry>>>;

class sources {
public:
    // Both outlive this object.
    sources(const reach& process, const folder_lists& lists) : process_(process), lists_(lists) {}

    // Without the newline that files and pasted values end in. Absent and empty are errors of kind `credential`.
    result<secret> read(const domain::value_source& from) const;
    // A literal, or a value that is no secret.
    result<std::string> read(const domain::text_value& from) const;

private:
    result<secret> from_vault(const domain::from_vault& at) const;

    const reach& process_;
    const folder_lists& lists_;
};

// "environment variable HEROKU_API_KEY", for messages.
std::string describe(const domain::value_source& from);

} // namespace postern::run
