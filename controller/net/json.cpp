#include "net/json.hpp"

#include "base/text.hpp"
#include "net/wiping.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/serializer.hpp>

#include <array>
#include <cmath>
#include <new>

namespace postern::net::json {

namespace {

// Boost.JSON gives keys back with another alignment than it took them with; new's own is enough for all it keeps.
class wiping_memory final : public boost::json::memory_resource {
    void* do_allocate(std::size_t size, std::size_t) override { return ::operator new(size); }
    void do_deallocate(void* p, std::size_t size, std::size_t) override {
        OPENSSL_cleanse(p, size);
        ::operator delete(p);
    }
    bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

error nonsense(std::string what) {
    return failure(error_kind::unavailable, {}, std::move(what));
}

error explain(std::string_view text, const boost::system::error_code& ec, std::size_t at) {
    auto begins = trim(text);
    if (begins.empty())
        return nonsense("an empty body instead of JSON");
    if (begins.starts_with('<'))
        return nonsense("HTML instead of JSON");
    if (begins.starts_with("\x1f\x8b"))
        return nonsense("gzip, which was not asked for, instead of JSON");
    if (ec == boost::json::error::incomplete)
        return nonsense("truncated JSON: it ends after " + std::to_string(text.size()) + " bytes");
    if (ec == boost::json::error::too_deep)
        return nonsense("JSON that is nested too deeply");
    return nonsense("not JSON: " + ec.message() + " at byte " + std::to_string(at));
}

} // namespace

boost::json::storage_ptr memory() {
    static wiping_memory resource;
    return &resource;
}

result<boost::json::value> parse(const secret& body, limits within) {
    auto text = body.reveal();
    if (text.size() > within.bytes)
        return nonsense("a JSON document larger than " + std::to_string(within.bytes) + " bytes");
    boost::json::parse_options options;
    options.max_depth = within.depth;
    // The parser's own working memory holds pieces of the document, too.
    boost::json::parser parser{memory(), options};
    parser.reset(memory());
    boost::system::error_code ec;
    auto read = parser.write_some(text.data(), text.size(), ec);
    if (ec)
        return explain(text, ec, read);
    if (!trim(text.substr(read)).empty())
        return nonsense("not JSON: more text after the document, at byte " + std::to_string(read));
    return parser.release();
}

secret serialize(const boost::json::value& document) {
    boost::json::serializer writer;
    writer.reset(&document);
    wiping_buffer out;
    wiping_buffer part(4096);
    while (!writer.done()) {
        auto piece = writer.read(part.data(), part.size());
        out.insert(out.end(), piece.begin(), piece.end());
    }
    return secret{{out.data(), out.size()}};
}

const boost::json::value* find(const boost::json::value& in, std::string_view key) {
    const auto* members = in.if_object();
    const auto* value = members != nullptr ? members->if_contains(key) : nullptr;
    return value == nullptr || value->is_null() ? nullptr : value;
}

std::string text(const boost::json::value& in, std::string_view key) {
    const auto* value = find(in, key);
    const auto* string = value != nullptr ? value->if_string() : nullptr;
    return string != nullptr ? std::string{string->data(), string->size()} : std::string{};
}

std::optional<secret> secret_text(const boost::json::value& in, std::string_view key) {
    const auto* value = find(in, key);
    const auto* string = value != nullptr ? value->if_string() : nullptr;
    if (string == nullptr)
        return {};
    return secret{{string->data(), string->size()}};
}

std::optional<std::int64_t> number(const boost::json::value& in, std::string_view key) {
    const auto* value = find(in, key);
    if (value == nullptr)
        return {};
    // Beyond 2^53 a double no longer tells whole numbers apart.
    if (const auto* d = value->if_double(); d != nullptr)
        return std::abs(*d) < 9e15 ? std::optional{static_cast<std::int64_t>(*d)} : std::nullopt;
    boost::system::error_code ec;
    auto n = value->to_number<std::int64_t>(ec);
    return ec ? std::nullopt : std::optional{n};
}

std::optional<bool> flag(const boost::json::value& in, std::string_view key) {
    const auto* value = find(in, key);
    const auto* b = value != nullptr ? value->if_bool() : nullptr;
    return b != nullptr ? std::optional{*b} : std::nullopt;
}

std::optional<instant> time(const boost::json::value& in, std::string_view key) {
    return parse_instant(text(in, key));
}

const boost::json::array& items(const boost::json::value& in, std::string_view key) {
    static const boost::json::array none;
    const auto* value = find(in, key);
    const auto* array = value != nullptr ? value->if_array() : nullptr;
    return array != nullptr ? *array : none;
}

const boost::json::object& object(const boost::json::value& in, std::string_view key) {
    static const boost::json::object none;
    const auto* value = find(in, key);
    const auto* members = value != nullptr ? value->if_object() : nullptr;
    return members != nullptr ? *members : none;
}

} // namespace postern::net::json
