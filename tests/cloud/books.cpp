#include "cloud/books.hpp"

#include <utility>

namespace postern::testcloud {

void books::give(instant at, std::string kind, std::string owner, std::string value) {
    secrets_.push_back({at, std::move(kind), std::move(owner), std::move(value)});
}

void books::give_client_secret(instant at, std::string client_id, std::string secret) {
    pairs_[client_id].insert(secret);
    give(at, "client secret", std::move(client_id), std::move(secret));
}

bool books::ever_a_credential(const std::string& client_id, const std::string& secret) const {
    const auto found = pairs_.find(client_id);
    return found != pairs_.end() && found->second.contains(secret);
}

std::vector<std::string> books::leaks_in(std::string_view text) const {
    std::vector<std::string> out;
    for (const auto& s : secrets_)
        if (!s.value.empty() && text.find(s.value) != std::string_view::npos)
            out.push_back(s.kind + " of " + s.owner);
    return out;
}

std::map<std::string, std::size_t> books::counts() const {
    std::map<std::string, std::size_t> out;
    for (const auto& e : requests_) {
        if (e.by_operator)
            continue;
        const std::string to{to_string(e.to)};
        ++out[to];
        ++out[to + " " + e.method];
        ++out[to + " " + e.kind];
        ++out[to + " status " + std::to_string(e.status)];
    }
    return out;
}

json::object to_json(const entry& e) {
    return {{"at", format_instant(e.at)},
            {"service", to_string(e.to)},
            {"method", e.method},
            {"target", e.target},
            {"status", e.status},
            {"fate", to_string(e.how)},
            {"kind", e.kind},
            {"fault", e.fault},
            {"operator", e.by_operator},
            {"note", e.note}};
}

} // namespace postern::testcloud
