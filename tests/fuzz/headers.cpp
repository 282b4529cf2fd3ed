#include "base/text.hpp"
#include "net/rate_limit.hpp"
#include "target.hpp"

// Headers of an answer, one a line: no time that they name is before now.
void postern::fuzz::try_input(std::string_view input) {
    net::response r;
    r.status = 429;
    for (const auto line : split(input, '\n')) {
        const auto colon = line.find(':');
        if (colon != std::string_view::npos)
            r.headers.emplace_back(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
    }
    const auto read = net::read_rate_limit(r, instant{std::chrono::seconds{1'790'000'000}});
    hold(!read.reset || *read.reset >= duration{0}, "a reset is not in the past");
    hold(!read.retry_after || *read.retry_after >= duration{0}, "nobody is asked to come back in the past");
}
