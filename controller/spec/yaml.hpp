#pragma once

#include "spec/problem.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// YAML as plain trees with positions. Only what a reader cannot misread is taken: UTF-8 without control characters,
// mappings whose keys are plain and different, no anchors, aliases, merge keys or tags. Reading never throws, never
// recurses deeper than its limit, and never quotes the text in what it reports.
namespace postern::spec {

struct entry;

struct node {
    enum class kind {
        null,
        boolean,
        integer,
        real,
        text,
        list,
        mapping,
        broken, // stands for something that was refused and reported
    };

    kind is = kind::null;
    position at;
    std::string scalar; // as written, quotes and escapes resolved
    std::vector<node> items;
    std::vector<entry> entries; // in the order written

    // The value under `key`, or nothing.
    const entry* find(std::string_view key) const;
};

struct entry {
    std::string key;
    position at; // of the key
    node value;
};

// What was refused on the way.
struct flaw {
    std::size_t document = 0; // index among the documents that are not empty
    position at;
    json_path path; // of the value, or of the mapping that holds it
    std::string message;
};

struct yaml_limits {
    std::size_t bytes = std::size_t{1024} * 1024;
    std::size_t nodes = 20'000;
    std::size_t depth = 32;
};

struct yaml_text {
    std::vector<node> documents; // those that are not empty
    std::vector<flaw> flaws;
    bool complete = true; // false where reading stopped: what follows in the file is unknown
};

yaml_text read_yaml(std::string_view text, const yaml_limits& limits = {});

} // namespace postern::spec
