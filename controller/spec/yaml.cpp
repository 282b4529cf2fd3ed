#include "spec/yaml.hpp"

#include "base/text.hpp"
#include "spec/characters.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <sstream>

namespace postern::spec {

namespace {

// Ends the reading of a text from within the parser's callbacks.
struct stop {
    position at;
    std::string message;
};

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), text) != words.end();
}

// Takes the longest run of characters of `set` off the front; whether there was one.
bool take_run(std::string_view& text, std::string_view set) {
    auto end = std::min(text.find_first_not_of(set), text.size());
    text.remove_prefix(end);
    return end > 0;
}

void take_sign(std::string_view& text) {
    if (text.starts_with('-') || text.starts_with('+'))
        text.remove_prefix(1);
}

constexpr std::string_view digits = "0123456789";

bool is_integer(std::string_view text) {
    std::string_view set = digits;
    if (text.starts_with("0x"))
        set = "0123456789abcdefABCDEF";
    else if (text.starts_with("0o"))
        set = "01234567";
    if (set != digits)
        text.remove_prefix(2);
    else
        take_sign(text);
    return take_run(text, set) && text.empty();
}

bool is_real(std::string_view text) {
    if (is_one_of(text, {".nan", ".NaN", ".NAN"}))
        return true;
    take_sign(text);
    if (is_one_of(text, {".inf", ".Inf", ".INF"}))
        return true;
    auto whole = take_run(text, digits);
    auto fraction = false;
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        fraction = take_run(text, digits);
    }
    if (!whole && !fraction)
        return false;
    if (text.empty())
        return true;
    if (text[0] != 'e' && text[0] != 'E')
        return false;
    text.remove_prefix(1);
    take_sign(text);
    return take_run(text, digits) && text.empty();
}

// What a plain scalar is, by the core schema of YAML 1.2, in which "yes" and "on" are text.
node::kind kind_of(std::string_view plain) {
    if (is_one_of(plain, {"true", "True", "TRUE", "false", "False", "FALSE"}))
        return node::kind::boolean;
    if (is_integer(plain))
        return node::kind::integer;
    return is_real(plain) ? node::kind::real : node::kind::text;
}

// The parser's complaints, less what it appends of the text.
std::string syntax_message(std::string_view said) {
    namespace words = YAML::ErrorMsg;
    if (said.starts_with(words::UNKNOWN_ANCHOR))
        return "anchors and aliases are not allowed";
    const std::array known{
        words::END_OF_MAP,
        words::END_OF_MAP_FLOW,
        words::END_OF_SEQ,
        words::END_OF_SEQ_FLOW,
        words::INVALID_HEX,
        words::INVALID_UNICODE,
        words::INVALID_ESCAPE,
        words::UNKNOWN_TOKEN,
        words::DOC_IN_SCALAR,
        words::EOF_IN_SCALAR,
        words::CHAR_IN_SCALAR,
        words::TAB_IN_INDENTATION,
        words::FLOW_END,
        words::BLOCK_ENTRY,
        words::MAP_KEY,
        words::MAP_VALUE,
        words::CHAR_IN_BLOCK,
        words::ZERO_INDENT_IN_BLOCK,
        words::YAML_VERSION,
        words::YAML_MAJOR_VERSION,
        words::YAML_DIRECTIVE_ARGS,
        words::REPEATED_YAML_DIRECTIVE,
        words::ALIAS_CONTENT,
    };
    for (std::string_view word : known) {
        if (!said.starts_with(word))
            continue;
        while (word.ends_with(' ') || word.ends_with(':'))
            word.remove_suffix(1);
        return "not valid YAML: " + std::string(word);
    }
    return "not valid YAML";
}

// Builds trees from the parser's events.
class builder final : public YAML::EventHandler {
public:
    builder(std::string_view text, const yaml_limits& limits, yaml_text& out) : limits_(limits), out_(out) {
        lines_ = split(text, '\n');
    }

    // The parser counts lines and columns from 0, columns in bytes.
    position place(const YAML::Mark& mark) {
        if (mark.is_null() || static_cast<std::size_t>(mark.line) >= lines_.size())
            return {static_cast<int>(lines_.size()), 1};
        auto line = lines_[static_cast<std::size_t>(mark.line)];
        auto column = std::min(static_cast<std::size_t>(mark.column), line.size());
        // Counting on from the last place keeps a text of one long line linear.
        if (last_.line != mark.line + 1 || column < last_byte_) {
            last_ = {mark.line + 1, 1};
            last_byte_ = 0;
        }
        last_.column += static_cast<int>(count_characters(line.substr(last_byte_, column - last_byte_)));
        last_byte_ = column;
        return last_;
    }

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        put(start(mark, "?", anchor, node::kind::null), true);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        put(broken(place(mark), "anchors and aliases are not allowed: write the value out"), true);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        // The parser marks a scalar in quotes, or of a block, with "!", and a plain one with "?".
        auto scalar = start(mark, tag == "!" ? "?" : tag, anchor, tag == "!" ? node::kind::text : kind_of(value));
        if (scalar.is != node::kind::broken && has_hidden_characters(value))
            scalar = broken(scalar.at, "control characters are not allowed");
        if (scalar.is != node::kind::broken)
            scalar.scalar = value;
        put(std::move(scalar), true);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(start(mark, tag, anchor, node::kind::list));
    }
    void OnSequenceEnd() override { close(); }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(start(mark, tag, anchor, node::kind::mapping));
    }
    void OnMapEnd() override { close(); }

private:
    // A list or mapping that is still being read.
    struct level {
        node value;
        bool refused = false;    // read on, but leave no trace
        bool key_is_next = true; // in a mapping
        bool drop_value = false; // the key was refused
        std::string key;
        position key_at;
        json_path path;
    };

    json_path path_of_next() const {
        if (open_.empty())
            return {};
        const auto& top = open_.back();
        if (top.value.is == node::kind::list)
            return top.path / top.value.items.size();
        return top.key_is_next || top.drop_value ? top.path : top.path / top.key;
    }

    void add_flaw(position at, json_path path, std::string message) {
        out_.flaws.push_back({out_.documents.size(), at, std::move(path), std::move(message)});
    }

    node broken(position at, std::string message) {
        add_flaw(at, path_of_next(), std::move(message));
        node refused;
        refused.is = node::kind::broken;
        refused.at = at;
        return refused;
    }

    node start(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, node::kind is) {
        auto at = place(mark);
        if (++nodes_ > limits_.nodes)
            throw stop{at, "more than " + std::to_string(limits_.nodes) + " values in one file"};
        // The value is read all the same: what else is wrong with it is told in the same go.
        if (anchor != 0)
            add_flaw(at, path_of_next(), "anchors and aliases are not allowed");
        if (tag != "?" && !tag.empty())
            return broken(at, "tags are not allowed");
        node value;
        value.is = is;
        value.at = at;
        return value;
    }

    void open(node value) {
        if (open_.size() >= limits_.depth)
            throw stop{value.at, "nested deeper than " + std::to_string(limits_.depth) + " levels"};
        level next;
        next.path = path_of_next();
        next.refused = value.is == node::kind::broken;
        next.value = std::move(value);
        open_.push_back(std::move(next));
    }

    void close() {
        auto done = std::move(open_.back());
        open_.pop_back();
        put(std::move(done.value), false);
    }

    void put(node value, bool scalar) {
        if (open_.empty()) {
            if (value.is != node::kind::null)
                out_.documents.push_back(std::move(value));
            return;
        }
        auto& top = open_.back();
        if (top.value.is == node::kind::list) {
            top.value.items.push_back(std::move(value));
        } else if (top.key_is_next) {
            take_key(top, value, scalar);
            top.key_is_next = false;
        } else {
            if (!top.drop_value && !top.refused)
                top.value.entries.push_back({top.key, top.key_at, std::move(value)});
            top.key_is_next = true;
        }
    }

    void take_key(level& top, const node& key, bool scalar) {
        top.drop_value = true;
        if (key.is == node::kind::broken || top.refused)
            return;
        if (!scalar || key.is == node::kind::null) {
            broken(key.at, "a key must be a plain word");
        } else if (key.scalar == "<<") {
            broken(key.at, "merge keys are not allowed: write the fields out");
        } else if (const auto* first = top.value.find(key.scalar)) {
            add_flaw(key.at, top.path / key.scalar,
                     "this field was already given on line " + std::to_string(first->at.line));
        } else {
            top.key = key.scalar;
            top.key_at = key.at;
            top.drop_value = false;
        }
    }

    yaml_limits limits_;
    yaml_text& out_;
    std::vector<std::string_view> lines_;
    std::vector<level> open_;
    std::size_t nodes_ = 0;
    position last_;
    std::size_t last_byte_ = 0;
};

} // namespace

const entry* node::find(std::string_view key) const {
    auto found = std::find_if(entries.begin(), entries.end(), [&](const entry& e) { return e.key == key; });
    return found == entries.end() ? nullptr : &*found;
}

yaml_text read_yaml(std::string_view text, const yaml_limits& limits) {
    yaml_text out;
    auto give_up = [&](position at, std::string message) {
        out.flaws.push_back({out.documents.size(), at, {}, std::move(message)});
        out.complete = false;
    };
    if (text.size() > limits.bytes) {
        give_up({}, "larger than " + std::to_string(limits.bytes) + " bytes");
        return out;
    }
    if (text.starts_with("\xef\xbb\xbf"))
        text.remove_prefix(3);
    if (auto bad = find_bad_character(text)) {
        give_up(bad->at, bad->message);
        return out;
    }
    builder build(text, limits, out);
    try {
        std::istringstream in{std::string(text)};
        YAML::Parser parser(in);
        while (parser.HandleNextDocument(build)) {
        }
    } catch (const stop& s) {
        give_up(s.at, s.message);
    } catch (const YAML::Exception& e) {
        give_up(build.place(e.mark), syntax_message(e.msg));
    }
    return out;
}

} // namespace postern::spec
