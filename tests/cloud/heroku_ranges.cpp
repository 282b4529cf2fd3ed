// Lists by Range and Next-Range: the part of heroku that cuts a list into pages.
#include "base/text.hpp"
#include "cloud/heroku.hpp"

#include <algorithm>

namespace postern::testcloud {

namespace {

constexpr std::size_t largest_page = 1000;

// "version ]10..; max=15, order=desc": read leniently, as clients write it in several ways.
struct range {
    std::string property;
    std::string from;
    bool exclusive = false;
    std::size_t max = 0; // 0: not said
    bool descending = false;
};

std::optional<range> parse_range(std::string_view text, std::string_view property) {
    range out;
    out.property = property;
    const auto semicolon = text.find(';');
    const auto span = trim(text.substr(0, semicolon));
    const auto dots = span.find("..");
    if (dots == std::string_view::npos)
        return std::nullopt;
    auto left = trim(span.substr(0, dots));
    if (const auto space = left.find(' '); space != std::string_view::npos) {
        out.property = left.substr(0, space);
        left = trim(left.substr(space));
    } else if (!left.empty()) {
        out.property = left;
        left = {};
    }
    if (left.starts_with(']')) {
        out.exclusive = true;
        left.remove_prefix(1);
    }
    out.from = left;
    if (semicolon == std::string_view::npos)
        return out;
    for (auto option : split(text.substr(semicolon + 1), ',')) {
        option = trim(option);
        while (option.ends_with(';'))
            option.remove_suffix(1);
        if (option == "order=desc")
            out.descending = true;
        if (!option.starts_with("max="))
            continue;
        const auto digits = option.substr(4);
        if (digits.empty() || digits.size() > 6 || digits.find_first_not_of("0123456789") != std::string_view::npos)
            return std::nullopt;
        out.max = std::stoul(std::string{digits});
    }
    return out;
}

// Sorts numbers as numbers: versions are compared padded.
std::string sort_key(const json::object& item, const std::string& property) {
    const auto* value = item.if_contains(property);
    if (value == nullptr)
        return {};
    if (value->is_string())
        return std::string{value->get_string()};
    const auto digits = json::serialize(*value);
    return std::string(20 - std::min<std::size_t>(digits.size(), 20), '0') + digits;
}

std::string plain(const json::object& item, const std::string& property) {
    const auto& value = item.at(property);
    return value.is_string() ? std::string{value.get_string()} : json::serialize(value);
}

} // namespace

reply heroku::ranged(const request& r, std::vector<json::object> items, std::string_view property) const {
    constexpr std::string_view accepted = "id, name, updated_at, version";
    const auto header = r.header("Range");
    const auto wanted = header && !header->empty() ? parse_range(*header, property)
                                                   : std::optional{range{std::string{property}, {}, false, 0, false}};
    const bool known = wanted && (wanted->property == "id" || wanted->property == "name" ||
                                  wanted->property == "updated_at" || wanted->property == "version");
    if (!known || wanted->max > largest_page)
        return json_reply(416, json::object{{"id", "requested_range_not_satisfiable"},
                                            {"message", "Invalid `Range` header. Please use format like `objects "
                                                        "1-1000` or `objects name..`."}});
    std::sort(items.begin(), items.end(), [&](const auto& a, const auto& b) {
        const auto left = sort_key(a, wanted->property);
        const auto right = sort_key(b, wanted->property);
        return wanted->descending ? right < left : left < right;
    });
    if (!wanted->from.empty()) {
        json::object probe;
        const bool number = wanted->from.find_first_not_of("0123456789") == std::string::npos;
        if (number && wanted->property == "version")
            probe[wanted->property] = std::stoll(wanted->from);
        else
            probe[wanted->property] = wanted->from;
        const auto from = sort_key(probe, wanted->property);
        std::erase_if(items, [&](const auto& item) {
            const auto key = sort_key(item, wanted->property);
            const bool before = wanted->descending ? key > from : key < from;
            return before || (wanted->exclusive && key == from);
        });
    }
    const auto max = wanted->max == 0 ? switches.page : wanted->max;
    const bool truncated = items.size() > max;
    if (truncated)
        items.resize(max);
    json::array body;
    for (auto& item : items)
        body.push_back(item);
    auto answer = json_reply(truncated ? 206 : 200, body);
    answer.with("Accept-Ranges", std::string{accepted});
    if (items.empty())
        return answer;
    const auto& name = wanted->property;
    answer.with("Content-Range", name + " " + plain(items.front(), name) + ".." + plain(items.back(), name));
    if (truncated)
        answer.with("Next-Range", name + " ]" + plain(items.back(), name) + "..; max=" + std::to_string(max) +
                                      (wanted->descending ? ", order=desc" : ""));
    return answer;
}

} // namespace postern::testcloud
