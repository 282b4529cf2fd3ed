#pragma once

#include "base/error.hpp"

#include <doctest/doctest.h>

// How a result is shown where a check of it fails: by its error.
namespace doctest {

template<class T>
struct StringMaker<postern::result<T>> {
    static String convert(const postern::result<T>& r) {
        return r ? String{"a value"} : String{r.error().message().c_str()};
    }
};

} // namespace doctest
