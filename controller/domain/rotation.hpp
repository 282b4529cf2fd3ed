#pragma once

#include "base/instant.hpp"
#include "domain/desired.hpp"
#include "domain/observed.hpp"
#include "domain/record.hpp"

#include <optional>
#include <string>
#include <string_view>

// Why and when a credential in force is replaced: an ordered chain of small rules, the first that holds decides. What a
// rotation needs before it may start, and how it goes, is not decided here.
namespace postern::domain {

struct rotation_facts {
    const service_token& spec;
    const record& rec; // its `current` is set
    const live_token& token;
    instant now;
};

struct rotation {
    std::string reason; // CamelCase
    std::string words;
    strategy how = strategy::replace;
    instant since{}; // when it became due
};

// Nothing: no rule holds.
std::optional<rotation> rotation_due(const rotation_facts& facts);

// When a rule will hold by itself, the soonest; nothing: never.
std::optional<rotation> rotation_ahead(const rotation_facts& facts);

// Between nothing and `window`, always the same for one name: credentials that were made on one day are not replaced on
// one day.
duration spread(std::string_view name, duration window);

} // namespace postern::domain
