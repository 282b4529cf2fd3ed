#pragma once

#include "base/instant.hpp"

#include <cstddef>
#include <optional>

// How many requests at a time a remote takes well. Half as many after a refusal or a loss; one fewer while its answers
// take much longer than they did; one more after so many good ones. For each round of requests once: those that were
// under way when it changed say nothing new.
namespace postern::net {

class pace {
public:
    explicit pace(std::size_t most) : most_(most), places_(most) {}

    std::size_t places() const { return places_; }

    void good(instant sent, instant now);
    void bad(instant sent, instant now);

private:
    void become(std::size_t places, instant now);

    std::size_t most_;
    std::size_t places_;
    std::size_t good_ = 0; // since it changed last
    instant changed_at_ = instant::min();
    std::optional<duration> usual_; // how long an answer takes, over many
    duration recent_{};             // and over the last few
};

} // namespace postern::net
