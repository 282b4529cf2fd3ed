#include "base/instant.hpp"
#include "target.hpp"

// Instants, HTTP dates and durations: what was read and is written again reads as the same.
void postern::fuzz::try_input(std::string_view input) {
    if (const auto at = parse_instant(input))
        hold(parse_instant(format_instant(*at)) == at, "an instant reads as it was written");
    if (const auto at = parse_http_date(input))
        hold(parse_instant(format_instant(*at)) == at, "an HTTP date is an instant");
    if (const auto span = parse_duration(input)) {
        const auto again = parse_duration(format_duration(*span));
        hold(again && *again == *span, "a duration reads as it was written");
    }
}
