#include "spec/document.hpp"

namespace postern::spec {

position document::where(const json_path& path) const {
    const node* at = &root;
    auto found = root.at;
    for (const auto& step : path.steps()) {
        if (const auto* index = std::get_if<std::size_t>(&step)) {
            if (*index >= at->items.size())
                return found;
            at = &at->items[*index];
            found = at->at;
            continue;
        }
        const auto* e = at->find(std::get<std::string>(step));
        if (e == nullptr)
            return found;
        at = &e->value;
        found = e->at;
    }
    const auto is_nested = at->is == node::kind::mapping || at->is == node::kind::list || at->is == node::kind::null;
    return is_nested ? found : at->at;
}

bool document::is_broken(const json_path& path) const {
    const node* at = &root;
    for (const auto& step : path.steps()) {
        if (at->is == node::kind::broken)
            return true;
        if (const auto* index = std::get_if<std::size_t>(&step)) {
            if (*index >= at->items.size())
                return false;
            at = &at->items[*index];
        } else {
            const auto* e = at->find(std::get<std::string>(step));
            if (e == nullptr)
                return false;
            at = &e->value;
        }
    }
    return at->is == node::kind::broken;
}

void document::report(std::vector<problem>& problems, const json_path& path, std::string message,
                      std::string suggestion) const {
    if (!is_broken(path))
        problems.push_back(problem_at(path, std::move(message), std::move(suggestion)));
}

problem document::problem_at(const json_path& path, std::string message, std::string suggestion) const {
    auto at = where(path);
    problem p;
    p.file = file;
    p.line = at.line;
    p.column = at.column;
    p.path = path.to_string();
    p.message = std::move(message);
    p.suggestion = std::move(suggestion);
    return p;
}

} // namespace postern::spec
