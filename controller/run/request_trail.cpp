#include "run/request_trail.hpp"

#include <algorithm>
#include <utility>

namespace postern::run {

namespace {

// A release is polled for minutes; what made it was sent before.
constexpr std::size_t most_ids = 32;

// What every remote's ids look like; anything else is text of somebody's choice.
bool is_id(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
               c == '.';
    });
}

} // namespace

std::list<request_trail::entry>::iterator request_trail::find(const boost::asio::any_io_executor& work) {
    return std::find_if(entries_.begin(), entries_.end(), [&](const entry& e) { return e.work == work; });
}

std::list<request_trail::entry>::const_iterator request_trail::find(const boost::asio::any_io_executor& work) const {
    return std::find_if(entries_.begin(), entries_.end(), [&](const entry& e) { return e.work == work; });
}

void request_trail::begin(const boost::asio::any_io_executor& work, net::urgency lane) {
    entries_.push_back({work, lane});
}

void request_trail::wrote(const boost::asio::any_io_executor& work) {
    if (auto at = find(work); at != entries_.end())
        at->written = true;
}

bool request_trail::has_written(const boost::asio::any_io_executor& work) const {
    auto at = find(work);
    return at != entries_.end() && at->written;
}

std::optional<net::urgency> request_trail::lane_of(const boost::asio::any_io_executor& work) const {
    auto at = find(work);
    return at == entries_.end() ? std::nullopt : std::optional{at->lane};
}

void request_trail::note(const boost::asio::any_io_executor& work, std::string_view id) {
    auto at = find(work);
    if (at != entries_.end() && at->ids.size() < most_ids && is_id(id))
        at->ids.emplace_back(id);
}

std::vector<std::string> request_trail::take(const boost::asio::any_io_executor& work) {
    auto at = find(work);
    if (at == entries_.end())
        return {};
    auto ids = std::move(at->ids);
    entries_.erase(at);
    return ids;
}

} // namespace postern::run
