#pragma once

#include "spec/problem.hpp"

#include <string>
#include <vector>

// Finds and reads the files that hold documents.
namespace postern::spec {

struct spec_file {
    std::string name; // as messages call it
    std::string text;
};

struct folder_contents {
    std::vector<spec_file> files; // in the order of `paths`, and by name within a folder
    std::vector<problem> problems;
};

// Every *.yaml and *.yml below the paths, and the paths that are files themselves, each once. Hidden files and folders
// are passed over; a symbolic link is followed only to what lies below the same path. What cannot be read, and a
// path below which there is no such file, is a problem.
folder_contents read_files(const std::vector<std::string>& paths);

} // namespace postern::spec
