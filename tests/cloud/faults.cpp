#include "cloud/faults.hpp"

#include <algorithm>
#include <array>

namespace postern::testcloud {

namespace {

constexpr std::array<std::string_view, 10> names{"drop", "reset", "hang",       "answer", "truncate",
                                                 "cut",  "delay", "empty_list", "hold",   "hook"};

bool ends_the_exchange(fault_action what) {
    return what == fault_action::drop || what == fault_action::reset || what == fault_action::hang ||
           what == fault_action::hold || what == fault_action::answer;
}

void empty_the_list(reply& answer) {
    auto value = answer.parsed();
    if (value.is_array())
        value = json::array{};
    if (auto* o = value.if_object()) {
        for (const auto* key : {"result", "secrets", "folders"})
            if (auto* member = o->if_contains(key); member != nullptr && member->is_array())
                *member = json::array{};
        if (auto* info = o->if_contains("result_info"); info != nullptr && info->is_object())
            for (const auto* key : {"count", "total_count", "total_pages"})
                info->get_object()[key] = 0;
    }
    answer.body = json::serialize(value);
}

} // namespace

std::optional<fault_action> parse_fault_action(std::string_view text) {
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end())
        return std::nullopt;
    return static_cast<fault_action>(found - names.begin());
}

std::string_view to_string(fault_action a) {
    return names[static_cast<std::size_t>(a)];
}

void faults::add(fault f) {
    if (f.name.empty())
        f.name = to_string(f.what);
    if (f.what == fault_action::hold)
        f.released = std::make_shared<bool>(false);
    std::regex path{f.path};
    waiting_.push_back({std::move(f), std::move(path)});
}

std::vector<fault> faults::all() const {
    std::vector<fault> out;
    for (const auto& one : waiting_)
        out.push_back(one.what);
    return out;
}

void faults::release() {
    for (auto& one : waiting_) {
        if (one.what.released)
            *one.what.released = true;
    }
    std::erase_if(waiting_, [](const auto& one) { return one.what.released != nullptr; });
}

std::vector<fault> faults::meet(const request& r) {
    std::vector<fault> out;
    for (auto& [f, path] : waiting_) {
        const bool method_fits = f.method.empty() || (f.method == "write" ? !r.reads() : f.method == r.method);
        if ((f.to && *f.to != r.to) || !method_fits || !std::regex_search(r.target, path))
            continue;
        ++f.seen;
        if (f.seen <= f.skip || (f.times != 0 && f.fired >= f.times))
            continue;
        ++f.fired;
        out.push_back(f);
    }
    return out;
}

bool stops_before_acting(const fault& f) {
    return ends_the_exchange(f.what) && !f.after;
}

void apply_to(const fault& f, outcome& out) {
    switch (f.what) {
    case fault_action::drop:
        out.how = fate::drop;
        return;
    case fault_action::reset:
        out.how = fate::reset;
        return;
    case fault_action::hang:
        out.how = fate::hang;
        return;
    case fault_action::hold:
        out.how = fate::hold;
        out.released = f.released;
        return;
    case fault_action::cut:
        out.how = fate::cut;
        return;
    case fault_action::answer: {
        const bool as_json = f.body.starts_with('{') || f.body.starts_with('[');
        out.answer = text_reply(f.status, as_json ? "application/json" : "text/html; charset=UTF-8", f.body);
        out.answer.headers.insert(out.answer.headers.end(), f.headers.begin(), f.headers.end());
        return;
    }
    case fault_action::truncate:
        out.answer.body.resize(out.answer.body.size() / 2);
        return;
    case fault_action::delay:
        out.delay += f.delay;
        return;
    case fault_action::empty_list:
        empty_the_list(out.answer);
        return;
    case fault_action::hook:
        return;
    }
}

} // namespace postern::testcloud
