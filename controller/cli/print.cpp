#include "cli/print.hpp"

#include "base/text.hpp"
#include "cli/colour.hpp"
#include "domain/reason.hpp"
#include "run/status.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace postern::cli {

using domain::change;
using domain::condition;
using domain::step;
using domain::weight;

namespace {

struct mark {
    std::string_view sign;
    std::string_view colour;
};

mark mark_of(change c) {
    switch (c) {
    case change::create:
        return {"+", green};
    case change::change:
        return {"~", yellow};
    case change::replace:
        return {"-/+", magenta};
    case change::delete_:
        return {"-", red};
    case change::look:
        break;
    }
    return {"?", cyan};
}

std::string padded(std::string_view text, std::size_t width) {
    std::string out{text};
    out.resize(std::max(width, out.size()), ' ');
    return out;
}

bool is_note(const step& s) {
    return std::holds_alternative<domain::steps::write_record>(s.what);
}

// Room for the longest word, "await-release", and two blanks.
constexpr std::size_t word_width = 15;

std::string step_line(const step& s, bool colour) {
    auto [sign, paint] = mark_of(domain::kind_of(s));
    auto line = "  " + painted(padded(sign, 3), paint, colour) + " " + padded(domain::word(s), word_width) +
                printable(s.target);
    return line + "  " + painted("# " + s.reason + ": " + printable(s.words), faint, colour) + "\n";
}

// All the notes about one resource: "~   record      intend, promote, confirm".
std::string notes_line(const std::vector<const step*>& notes, bool colour) {
    auto [sign, paint] = mark_of(domain::kind_of(*notes.front()));
    std::vector<std::string> words;
    for (const auto* note : notes) {
        auto word = domain::word(*note);
        if (word == "record")
            word = note->words;
        if (std::find(words.begin(), words.end(), word) == words.end())
            words.push_back(std::move(word));
    }
    const auto& record = std::get<domain::steps::write_record>(notes.front()->what);
    return "  " + painted(padded(sign, 3), paint, colour) + " " + padded("record", word_width) + join(words, ", ") +
           "  " + painted("# notes in " + printable(record.path), faint, colour) + "\n";
}

// The resources in the order in which they first come up.
std::vector<std::string> resources_of(const std::vector<step>& steps) {
    std::vector<std::string> out;
    for (const auto& s : steps) {
        if (std::find(out.begin(), out.end(), s.resource) == out.end())
            out.push_back(s.resource);
    }
    return out;
}

std::string_view heading(weight w) {
    switch (w) {
    case weight::failed:
        return "Failed:";
    case weight::blocked:
        return "Needs a person:";
    case weight::waiting:
        return "Waiting:";
    case weight::told:
        return "Worth knowing:";
    case weight::fine:
        break;
    }
    return "Fine:";
}

std::string_view word_of(change c) {
    switch (c) {
    case change::look:
        return "look";
    case change::create:
        return "create";
    case change::change:
        return "change";
    case change::replace:
        return "replace";
    case change::delete_:
        break;
    }
    return "delete";
}

std::string json_text(std::string_view text) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string out = "\"";
    for (char c : printable(text)) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += {'\\', c};
        else if (byte < 0x20)
            out += {'\\', 'u', '0', '0', digits[byte >> 4U], digits[byte & 0xfU]};
        else
            out += c;
    }
    return out + "\"";
}

const domain::service_token* token_of(const step& s, const domain::desired& wanted) {
    const auto* mint = std::get_if<domain::steps::mint>(&s.what);
    if (mint == nullptr)
        return nullptr;
    auto at = std::find_if(wanted.tokens.begin(), wanted.tokens.end(), [&](auto& t) { return t.name == mint->token; });
    return at == wanted.tokens.end() ? nullptr : &*at;
}

std::string step_json(const step& s, const domain::desired& wanted) {
    auto out = R"({"action":)" + json_text(domain::word(s)) + R"(,"resource":)" + json_text(s.resource) +
               R"(,"target":)" + json_text(s.target) + R"(,"reason":)" + json_text(s.reason) +
               R"(,"details":{"change":)" + json_text(word_of(domain::kind_of(s))) + R"(,"words":)" +
               json_text(s.words);
    const auto* token = token_of(s, wanted);
    if (token != nullptr) {
        out += R"(,"duration":)" + json_text(token->duration_text) + R"(,"credential":)" + json_text(token->key);
        if (!token->cadence_key.empty())
            out += R"(,"cadenceKey":)" + json_text(token->cadence_key);
    }
    if (const auto* edit = std::get_if<domain::steps::edit_policy>(&s.what); edit != nullptr)
        out += R"(,"sharedBy":)" + std::to_string(edit->shared_by);
    return out + "}}";
}

std::string condition_json(const condition& c) {
    return R"({"resource":)" + json_text(c.resource) + R"(,"type":)" + json_text(c.type) + R"(,"status":)" +
           json_text(run::word_of(c.is)) + R"(,"reason":)" + json_text(c.reason) + R"(,"message":)" +
           json_text(c.message) + "}";
}

template<class Items, class Write>
std::string array(const Items& items, Write write) {
    std::string out = "[";
    for (const auto& item : items)
        out += (out.size() > 1 ? ",\n  " : "\n  ") + write(item);
    return out + (out.size() > 1 ? "\n]" : "]");
}

std::string summary(std::string_view start, const tally& of, const std::array<std::string_view, 4>& words) {
    const std::array<int, 4> numbers{of.create, of.change, of.replace, of.delete_};
    std::string out{start};
    for (std::size_t i = 0; i < numbers.size(); ++i)
        out += (i > 0 ? ", " : " ") + std::to_string(numbers.at(i)) + " " + std::string{words.at(i)};
    return out + ".\n";
}

// What only time will bring.
std::string scheduled_text(const std::vector<condition>& conditions, bool colour) {
    constexpr int most = 20;
    std::string out;
    int found = 0;
    for (const auto& c : conditions) {
        const bool dated = c.reason == domain::reason::scheduled || c.reason == domain::reason::overlapping;
        if (dated && ++found <= most)
            out += "  " + short_name(c.resource) + ": " + printable(c.message) + "\n";
    }
    if (found > most)
        out += "  … and " + std::to_string(found - most) + " more\n";
    return out.empty() ? out : painted("Scheduled:", bold, colour) + "\n" + out;
}

} // namespace

tally count(const std::vector<step>& steps) {
    change_count all;
    for (const auto& s : steps)
        all.add(s);
    return all.sum();
}

void change_count::add(const step& s) {
    auto& object = objects_[s.locks.empty() ? s.resource + " " + s.target : s.locks.front()];
    const auto kind = domain::kind_of(s);
    object.create = object.create || kind == change::create;
    object.delete_ = object.delete_ || kind == change::delete_;
    object.replace = object.replace || kind == change::replace;
}

tally change_count::sum() const {
    tally out;
    for (const auto& [name, object] : objects_)
        ++(object.replace || (object.create && object.delete_) ? out.replace
           : object.create                                     ? out.create
           : object.delete_                                    ? out.delete_
                                                               : out.change);
    return out;
}

std::string steps_text(const std::vector<step>& steps, bool colour) {
    std::string out;
    for (const auto& resource : resources_of(steps)) {
        out += painted(printable(resource), bold, colour) + "\n";
        std::vector<const step*> notes;
        for (const auto& s : steps) {
            if (s.resource == resource && is_note(s))
                notes.push_back(&s);
            else if (s.resource == resource)
                out += step_line(s, colour);
        }
        if (!notes.empty())
            out += notes_line(notes, colour);
        out += "\n";
    }
    return out;
}

std::string plan_summary(const tally& of) {
    return summary("Plan:", of, {"to create", "to change", "to replace", "to delete"});
}

std::string apply_summary(const tally& of) {
    return summary("Applied:", of, {"created", "changed", "replaced", "deleted"});
}

std::string cadence_text(const std::vector<step>& steps, const domain::desired& wanted) {
    std::string out;
    for (const auto& s : steps) {
        const auto* token = token_of(s, wanted);
        if (token != nullptr && !token->cadence_key.empty())
            out += "  " + token->key + ": " + token->cadence_key + "\n";
    }
    return out.empty() ? out : "New credentials to enter in the cadence table, if they are not in it yet:\n" + out;
}

std::string conditions_text(const std::vector<condition>& conditions, bool colour) {
    std::string out;
    for (auto w : {weight::failed, weight::blocked, weight::waiting, weight::told}) {
        std::string part;
        for (const auto& c : conditions) {
            if (c.heft == w)
                part += "  " + printable(c.resource) + " " + c.type + "=" + std::string{run::word_of(c.is)} + " " +
                        c.reason + ": " + printable(c.message) + "\n";
        }
        if (!part.empty())
            out += (out.empty() ? "" : "\n") + painted(heading(w), bold, colour) + "\n" + part;
    }
    return out;
}

std::string plan_text(const std::vector<step>& steps, const std::vector<condition>& conditions,
                      const domain::desired& wanted, bool colour) {
    const bool at_rest =
        std::all_of(conditions.begin(), conditions.end(), [](const auto& c) { return c.heft <= weight::fine; });
    auto out = !steps.empty() ? steps_text(steps, colour) + plan_summary(count(steps))
               : at_rest      ? std::string{"No changes: the world is as the documents want it.\n"}
                              : std::string{"No changes that can be made now.\n"};
    for (const auto& part :
         {cadence_text(steps, wanted), conditions_text(conditions, colour), scheduled_text(conditions, colour)}) {
        if (!part.empty())
            out += "\n" + part;
    }
    return out;
}

std::string document(const std::vector<step>& steps, const std::vector<condition>& conditions,
                     const domain::desired& wanted) {
    return R"({"steps":)" + array(steps, [&](const auto& s) { return step_json(s, wanted); }) + R"(,"conditions":)" +
           array(conditions, condition_json) + "}\n";
}

std::string short_name(const std::string& resource) {
    return printable(std::string_view{resource}.substr(resource.find('/') + 1));
}

} // namespace postern::cli
