#include "spec/generated.hpp"
#include "spec/schema.hpp"
#include "spec/second_opinion.hpp"
#include "target.hpp"

#include <boost/json/serialize.hpp>

// Our schema checker against another one: the first byte chooses the kind, the rest the document.
void postern::fuzz::try_input(std::string_view input) {
    if (input.empty())
        return;
    static const auto kinds = spec::schema::kinds();
    const auto& kind = kinds[static_cast<unsigned char>(input.front()) % kinds.size()];
    spec_test::choices by{input.substr(1)};
    const auto document = spec_test::generate(*spec::schema::of(kind), by);
    const auto both = spec_test::ask_both(kind, document);
    hold(both.ours == both.theirs,
         boost::json::serialize(document) + (both.theirs ? " is refused: " + both.said : " is taken"));
}
