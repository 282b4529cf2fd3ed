#pragma once

#include "spec/schema.hpp"

#include <boost/json/value.hpp>

#include <cstddef>
#include <string>
#include <string_view>

// Documents made from a schema and a row of bytes: mostly what the schema asks for, here and there something else. The
// same bytes make the same document, so a fuzzer finds its way, and a failure can be played again.
namespace postern::spec_test {

// The bytes, one choice after the other; zeros where they have run out.
class choices {
public:
    explicit choices(std::string_view bytes) : bytes_(bytes) {}

    std::size_t next(std::size_t below);
    bool one_in(std::size_t n) { return next(n) == n - 1; }

private:
    std::string_view bytes_;
    std::size_t at_ = 0;
};

// A mapping: what is none is no document.
boost::json::value generate(const spec::schema& rules, choices& by);

} // namespace postern::spec_test
