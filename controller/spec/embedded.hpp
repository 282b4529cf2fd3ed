#pragma once

#include <string_view>
#include <vector>

// The files of crds-like-schemas/, put into the program when it is built.
namespace postern::spec {

// The text of one JSON Schema per kind of document.
const std::vector<std::string_view>& embedded_schemas();

} // namespace postern::spec
