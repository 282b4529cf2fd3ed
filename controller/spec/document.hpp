#pragma once

#include "domain/desired.hpp"
#include "spec/problem.hpp"
#include "spec/yaml.hpp"

#include <string>
#include <vector>

// One document of a file: its tree, and how to say where in it something is wrong.
namespace postern::spec {

// What a document asks for stands below it.
inline const json_path spec_path = json_path{} / "spec";

struct document {
    std::string file;
    node root;
    std::string kind;      // empty where it cannot be told
    std::string name;      // metadata.name, likewise
    bool readable = false; // of a known kind, the first of its name; what its schema refused in it is broken

    // Where `path` stands; where it does not exist, the key of the nearest mapping around it.
    position where(const json_path& path) const;
    problem problem_at(const json_path& path, std::string message, std::string suggestion = {}) const;
    // Adds a problem, but none that follows from another: nothing is said of what was refused before.
    void report(std::vector<problem>& problems, const json_path& path, std::string message,
                std::string suggestion = {}) const;
    // Whether what stands at `path`, or around it, was refused.
    bool is_broken(const json_path& path) const;
    domain::origin origin() const { return {file, root.at.line}; }
    // "specs/a.yaml:12", for messages of other documents.
    std::string place() const { return file + ":" + std::to_string(root.at.line); }
};

} // namespace postern::spec
