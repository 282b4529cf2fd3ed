#pragma once

#include <string>
#include <vector>

// What a set of documents is called in the records. Only the source that a record names may prune what left it, so two
// sources must never share a name, and one source should keep its own wherever it is checked out.
namespace postern::spec {

// Paths in a git working tree whose remote "origin" is known are called after that and the way from the top,
// "github.com/raxx/infra//specs", on whatever machine and by whatever protocol; other paths by their full path. Their
// order and spelling make no difference: "a,b".
std::string source_name(const std::vector<std::string>& paths);

// The name that the folder `path` of a working tree has whose "origin" is `url`: for who reads the repository itself.
std::string source_name_in(const std::string& url, const std::string& path);

// "github.com/raxx/infra" for "https://user:token@github.com/raxx/infra.git" and for "git@github.com:raxx/infra".
std::string repository_name(std::string url);

} // namespace postern::spec
