#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <string_view>

// A JSON Schema validator that is not ours (Valijson, of Debian), asked about the same document and the same schema.
//
// Where the two may differ, and why the documents of `generate` do not go there:
//   * 1.0 is an integer for JSON Schema; for us it is not, because YAML writes whole numbers without a point.
//   * Numbers beyond 64 bits: YAML's are text until they are asked for, JSON's are doubles.
//   * `$schema` says 2020-12, Valijson knows draft 7: of what our schemas use, both mean the same.
namespace postern::spec_test {

struct opinions {
    bool ours = false; // whether the document is fine
    bool theirs = false;
    std::string said; // what we had against it
};

// The opinions on a document of that kind; `document` is read as JSON by them and as YAML by us.
opinions ask_both(std::string_view kind, const boost::json::value& document);

} // namespace postern::spec_test
