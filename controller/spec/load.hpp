#pragma once

#include "domain/desired.hpp"
#include "spec/folder.hpp"
#include "spec/problem.hpp"
#include "spec/trust.hpp"

#include <string>
#include <vector>

// From documents to the desired state, or to everything that is wrong with them. All documents are loaded in one go,
// as they refer to each other, and all problems are found in one go. Nothing is thrown for wrong documents, whatever
// their bytes are.
namespace postern::spec {

struct loaded {
    domain::desired desired;       // means something only where there are no problems
    std::vector<problem> problems; // in the order of the files, and of the lines within each

    bool ok() const { return problems.empty(); }
};

// The documents below `paths`: files, or folders of *.yaml and *.yml files.
loaded load(const std::vector<std::string>& paths, const load_options& options);

// Documents that do not lie in a file system, say a commit's. `source` is their stable name.
loaded load(const std::vector<spec_file>& files, const std::string& source, const load_options& options);

// What was read already, with the problems of reading it.
loaded load(const folder_contents& contents, const std::string& source, const load_options& options);

} // namespace postern::spec
