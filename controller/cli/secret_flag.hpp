#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "domain/desired.hpp"

#include <optional>
#include <string>

// This process's own secrets (--listen-token-from, --hook-secret-from, --git-token-from): flags name where each is
// read, never the secret itself. The operator's word reaches any file; only documents are held to --secrets-dir.
namespace postern::cli {

// Without the newline that files and pasted values end in. No flag: the variable `usually`, and nothing where that is
// not set or empty. What a flag names and is not there, or is empty, is an error of kind `credential`.
result<std::optional<secret>> read_secret_flag(const std::optional<domain::value_source>& flag,
                                               const std::string& usually);

} // namespace postern::cli
