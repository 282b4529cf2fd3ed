#pragma once

#include "base/secret.hpp"

#include <concepts>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Diagnostics: one line per event, a constant event name and fields, as text or JSON, always shorter than 10,000 bytes
// with its newline: collectors split longer ones. Values that came from outside are
// escaped and cut, so that no remote can forge a line or move a terminal's cursor. A secret cannot be logged: it does
// not compile.
namespace postern::run {

enum class level { debug, info, warn, error };
enum class log_format { text, json };

std::optional<level> parse_level(std::string_view word);

struct field {
    std::string_view key;
    std::string value;
    bool quoted = true; // false: a number or a boolean

    field(std::string_view k, std::string_view v) : key(k), value(v) {}
    field(std::string_view k, const char* v) : key(k), value(v) {}
    field(std::string_view k, const std::string& v) : key(k), value(v) {}
    field(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), quoted(false) {}
    template<std::integral number>
    field(std::string_view k, number v) : key(k), value(std::to_string(v)), quoted(false) {}
    field(std::string_view, const secret&) = delete;
};

class log {
public:
    // The stream outlives this object. `stamp` says the time of a line; without one lines have none.
    log(std::ostream& to, level least, log_format format, std::function<std::string()> stamp = {});

    void debug(std::string_view event, std::initializer_list<field> fields = {}) { write(level::debug, event, fields); }
    void info(std::string_view event, std::initializer_list<field> fields = {}) { write(level::info, event, fields); }
    void warn(std::string_view event, std::initializer_list<field> fields = {}) { write(level::warn, event, fields); }
    void error(std::string_view event, std::initializer_list<field> fields = {}) { write(level::error, event, fields); }

    bool shows(level of) const { return of >= least_; }
    // These fields stand in every line from now on, before its own.
    void set_context(std::vector<std::pair<std::string, std::string>> fields) { context_ = std::move(fields); }
    // Called before each line is written: a live progress line makes room.
    void before_each(std::function<void()> call) { before_ = std::move(call); }

private:
    void write(level of, std::string_view event, std::initializer_list<field> fields);

    std::ostream& to_;
    level least_;
    log_format format_;
    std::function<std::string()> stamp_;
    std::function<void()> before_;
    std::vector<std::pair<std::string, std::string>> context_;
};

} // namespace postern::run
