// In the test programs that stand up a cloud: a refusal that nobody excused fails the test case in which the cloud
// ends.
#include "cloud/cloud.hpp"

#include <doctest/doctest.h>

namespace {

[[maybe_unused]] const bool told = [] {
    postern::testcloud::cloud::when_refused = [](const std::string& complaint) {
        FAIL_CHECK("consumers were refused, and no test said that this is meant:\n", complaint);
    };
    return true;
}();

} // namespace
