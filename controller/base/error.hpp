#pragma once

#include <boost/system/result.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

// What can go wrong, said in terms of what the loop must do about it. Expected failures travel as result<T>;
// exceptions are for bugs and are caught at the edge that calls a third party.
namespace postern {

enum class error_kind {
    spec,        // a document is wrong: stalled until somebody edits it
    credential,  // one of our own keys was refused: stalled until it is replaced
    refused,     // the remote understood and said no: stalled until a person changes something there
    unavailable, // the remote is down or answers nonsense: wait
    timeout,     // no answer in time to something that is safe to repeat: wait
    throttled,   // the remote asked us to slow down: wait until retry_after
    conflict,    // the world moved between our read and our write: gather again now
    ambiguous,   // a write whose reply was lost: never resend, look first
    cancelled,   // we were asked to stop
    bug,         // this program is wrong
};

std::string_view to_string(error_kind kind);

struct error {
    error_kind kind = error_kind::bug;
    std::string where; // the call and its object: "cloudflare PUT service token console-self-probe"
    std::string what;  // the remote's own words and request id; never a secret
    int status = 0;    // HTTP status, 0 where no answer was had
    std::string code;  // the remote's own error code ("12139", "not_found"), where it gave one
    std::optional<std::chrono::milliseconds> retry_after;

    // "where: what", control characters escaped: fit for a log line or a terminal.
    std::string message() const;
};

// An error that no HTTP status stands for.
error failure(error_kind kind, std::string where, std::string what);

template<class T>
using result = boost::system::result<T, error>;

// Boost.System's way to say what result<T>::value() throws on a failure.
[[noreturn]] void throw_exception_from_error(const error& e, const boost::source_location& where);

} // namespace postern
