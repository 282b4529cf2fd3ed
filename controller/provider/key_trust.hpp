#pragma once

#include "base/error.hpp"
#include "base/instant.hpp"

#include <optional>

// Whether a connection's key is still believed to work. A remote may refuse a good one in passing, so a refusal counts
// only when it came several times in a row, spaced. Where no other call was accepted meanwhile it is the key that is
// dead, not a right that is lacking: then nothing is sent with it for a while that grows, until it is replaced.
namespace postern::provider {

class key_trust {
public:
    // How long to wait until a call that was refused so many times is sent again; nothing where it is to be believed.
    static std::optional<duration> wait_after(int refusals);

    void accepted(instant now);
    // A call that began then was refused for good.
    void refused(error why, instant began, instant now);
    // It is another key.
    void replaced();

    // Why nothing is sent now.
    std::optional<error> barred(instant now) const;

private:
    std::optional<instant> accepted_at_;
    std::optional<error> why_;
    instant until_{};
    int times_ = 0;
};

} // namespace postern::provider
