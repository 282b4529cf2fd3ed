#include "spec/load.hpp"

#include "base/text.hpp"
#include "spec/check.hpp"
#include "spec/conflicts.hpp"
#include "spec/resolve.hpp"
#include "spec/schema.hpp"
#include "spec/source.hpp"

#include <map>
#include <tuple>

namespace postern::spec {

namespace {

// The text under a key, or "".
std::string text_at(const node& mapping, std::string_view key) {
    const auto* e = mapping.find(key);
    return e != nullptr && e->value.is == node::kind::text ? e->value.scalar : "";
}

// Path elements that no schema knows may be part of a secret that was put in the wrong place: they are left out.
json_path known_part(const json_path& path, std::string_view kind) {
    json_path out;
    auto rules = schema::of(kind);
    for (const auto& step : path.steps()) {
        const auto* name = std::get_if<std::string>(&step);
        if (rules)
            rules = name != nullptr ? rules->property(*name) : rules->part("items");
        if (!rules)
            break;
        out = name != nullptr ? out / *name : out / std::get<std::size_t>(step);
    }
    return out;
}

const node* node_at(const node& mapping, std::string_view key) {
    const auto* e = mapping.find(key);
    return e == nullptr ? nullptr : &e->value;
}

// Whether kind and name of a document can be told.
bool is_identified(const node& root) {
    const auto* metadata = node_at(root, "metadata");
    return schema::of(text_at(root, "kind")) && metadata != nullptr && !text_at(*metadata, "name").empty();
}

class loader {
public:
    explicit loader(const load_options& options) : options_(options) {}

    void check_flags() {
        for (const auto& origin : options_.allow_origin) {
            if (!origin_of(origin))
                problems_.push_back(
                    problem_of("", "--allow-origin: must be an origin such as https://vault.example.com"));
        }
    }

    void add(const spec_file& file) {
        auto text = read_yaml(file.text);
        names_.complete = names_.complete && text.complete;
        for (const auto& f : text.flaws) {
            const auto is_read = f.document < text.documents.size();
            add_flaw(file.name, f, is_read ? text_at(text.documents[f.document], "kind") : "");
        }
        for (auto& root : text.documents) {
            document doc;
            doc.file = file.name;
            doc.root = std::move(root);
            documents_.push_back(std::move(doc));
        }
    }

    loaded finish() {
        for (auto& doc : documents_)
            check_document(doc);
        find_duplicates();
        auto all = read_documents(documents_, options_, problems_);
        resolve(all, names_, problems_);
        find_conflicts(all, problems_);
        loaded out;
        take(all.cloudflare, out.desired.cloudflare);
        take(all.vaults, out.desired.vaults);
        take(all.heroku, out.desired.heroku);
        take(all.tokens, out.desired.tokens);
        take(all.bindings, out.desired.bindings);
        take(all.heroku_bindings, out.desired.heroku_bindings);
        out.problems = std::move(problems_);
        return out;
    }

    bool is_empty() const { return documents_.empty(); }
    std::vector<problem>& problems() { return problems_; }

private:
    void add_flaw(const std::string& file, const flaw& f, std::string_view kind) {
        problem p = problem_of(file, f.message);
        p.line = f.at.line;
        p.column = f.at.column;
        p.path = f.path.steps().empty() ? "" : known_part(f.path, kind).to_string();
        problems_.push_back(std::move(p));
    }

    void check_document(document& doc) {
        // What is not understood may be what others refer to.
        names_.complete = names_.complete && is_identified(doc.root);
        if (doc.root.is == node::kind::broken)
            return;
        if (doc.root.is != node::kind::mapping)
            return report(doc, {}, "a document must be a mapping of apiVersion, kind, metadata and spec");
        const auto* kind = doc.root.find("kind");
        const auto kinds = schema::kinds();
        if (kind == nullptr)
            return report(doc, {}, "\"kind\" is needed: one of " + join(kinds, ", "));
        doc.kind = text_at(doc.root, "kind");
        const auto rules = schema::of(doc.kind);
        if (!rules)
            return report(doc, json_path{} / "kind", "must be one of " + join(kinds, ", "),
                          nearest(doc.kind, kinds).value_or(""));
        if (const auto* metadata = doc.root.find("metadata"))
            doc.name = text_at(metadata->value, "name");
        check(doc, *rules, problems_);
        doc.readable = true;
    }

    void find_duplicates() {
        std::map<std::pair<std::string, std::string>, const document*> first;
        for (auto& doc : documents_) {
            if (doc.name.empty())
                continue;
            const auto [at, is_first] = first.emplace(std::pair{doc.kind, doc.name}, &doc);
            if (is_first) {
                names_.by_kind[doc.kind].push_back(doc.name);
                continue;
            }
            report(doc, json_path{} / "metadata" / "name",
                   "there is another " + doc.kind + " of this name at " + at->second->place());
            doc.readable = false;
        }
    }

    void report(const document& doc, const json_path& path, std::string message, std::string suggestion = {}) {
        problems_.push_back(doc.problem_at(path, std::move(message), std::move(suggestion)));
    }

    template<class T>
    static void take(std::vector<draft<T>>& from, std::vector<T>& to) {
        for (auto& d : from)
            to.push_back(std::move(d.value));
    }

    const load_options& options_;
    std::vector<document> documents_;
    known_names names_;
    std::vector<problem> problems_;
};

// By file, as read, and by line; problems of what is no file that was read come first.
std::vector<problem> in_order(std::vector<problem> problems, const std::vector<spec_file>& files) {
    std::map<std::string_view, std::size_t> rank;
    for (const auto& file : files)
        rank.emplace(file.name, rank.size() + 1);
    std::multimap<std::tuple<std::size_t, int, int>, problem> ordered;
    for (auto& p : problems) {
        const auto at = rank.find(p.file);
        const std::tuple key{at == rank.end() ? 0 : at->second, p.line, p.column};
        ordered.emplace(key, std::move(p));
    }
    problems.clear();
    for (auto& [key, p] : ordered)
        problems.push_back(std::move(p));
    return problems;
}

loaded load_files(const std::vector<spec_file>& files, std::vector<problem> found, const std::string& source,
                  const load_options& options) {
    loader with(options);
    with.check_flags();
    with.problems().insert(with.problems().end(), found.begin(), found.end());
    for (const auto& file : files)
        with.add(file);
    if (with.is_empty() && with.problems().empty())
        with.problems().push_back(problem_of(source, "there is no document at all"));
    auto out = with.finish();
    out.desired.source = source;
    out.problems = in_order(std::move(out.problems), files);
    return out;
}

} // namespace

loaded load(const std::vector<std::string>& paths, const load_options& options) {
    const auto source = options.source.empty() ? source_name(paths) : options.source;
    return load(read_files(paths), source, options);
}

loaded load(const std::vector<spec_file>& files, const std::string& source, const load_options& options) {
    return load_files(files, {}, source, options);
}

loaded load(const folder_contents& contents, const std::string& source, const load_options& options) {
    return load_files(contents.files, contents.problems, source, options);
}

} // namespace postern::spec
