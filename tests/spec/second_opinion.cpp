#include "spec/second_opinion.hpp"

#include "spec/check.hpp"
#include "spec/embedded.hpp"
#include "spec/schema.hpp"
#include "spec/yaml.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <map>
#include <memory>
#include <stdexcept>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>
#include <vector>

namespace postern::spec_test {

namespace json = boost::json;

namespace {

const valijson::Schema& their_schema(std::string_view kind) {
    static const auto all = [] {
        std::map<std::string, std::unique_ptr<valijson::Schema>, std::less<>> parsed;
        for (const auto text : spec::embedded_schemas()) {
            const auto root = json::parse(text);
            auto into = std::make_unique<valijson::Schema>();
            valijson::SchemaParser parser{valijson::SchemaParser::kDraft7};
            parser.populateSchema(valijson::adapters::BoostJsonAdapter{root}, *into);
            parsed.emplace(json::value_to<std::string>(root.at("title")), std::move(into));
        }
        return parsed;
    }();
    return *all.find(kind)->second;
}

} // namespace

opinions ask_both(std::string_view kind, const json::value& document) {
    opinions out;
    static std::map<std::string, valijson::Validator, std::less<>> validators; // each keeps its compiled patterns
    auto& validator = validators.try_emplace(std::string{kind}).first->second;
    out.theirs = validator.validate(their_schema(kind), valijson::adapters::BoostJsonAdapter{document}, nullptr);

    auto read = spec::read_yaml(json::serialize(document));
    if (read.documents.size() != 1 || !read.flaws.empty())
        throw std::logic_error("this JSON is no YAML to us: " + json::serialize(document));
    spec::document doc;
    doc.root = std::move(read.documents.front());
    std::vector<spec::problem> problems;
    spec::check(doc, *spec::schema::of(kind), problems);
    out.ours = problems.empty();
    for (const auto& p : problems)
        out.said += spec::to_string(p) + "\n";
    return out;
}

} // namespace postern::spec_test
