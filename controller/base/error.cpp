#include "base/error.hpp"

#include "base/text.hpp"

#include <stdexcept>
#include <utility>

namespace postern {

std::string_view to_string(error_kind kind) {
    switch (kind) {
    case error_kind::spec:
        return "spec";
    case error_kind::credential:
        return "credential";
    case error_kind::refused:
        return "refused";
    case error_kind::unavailable:
        return "unavailable";
    case error_kind::timeout:
        return "timeout";
    case error_kind::throttled:
        return "throttled";
    case error_kind::conflict:
        return "conflict";
    case error_kind::ambiguous:
        return "ambiguous";
    case error_kind::cancelled:
        return "cancelled";
    case error_kind::bug:
        return "bug";
    }
    return "bug";
}

std::string error::message() const {
    if (where.empty())
        return printable(what);
    return printable(where) + ": " + printable(what);
}

error failure(error_kind kind, std::string where, std::string what) {
    error e;
    e.kind = kind;
    e.where = std::move(where);
    e.what = std::move(what);
    return e;
}

void throw_exception_from_error(const error& e, const boost::source_location&) {
    throw std::logic_error(e.message());
}

} // namespace postern
