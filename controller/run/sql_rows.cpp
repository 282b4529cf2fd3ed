#include "run/sql_rows.hpp"

#include "base/text.hpp"
#include "spec/characters.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>

namespace postern::run::sql {

namespace json = boost::json;

namespace {

std::int64_t milliseconds(instant at) {
    return at.time_since_epoch().count();
}

error_kind kind_named(const std::string& word) {
    for (auto kind = error_kind::spec; kind != error_kind::bug; kind = error_kind{static_cast<int>(kind) + 1}) {
        if (to_string(kind) == word)
            return kind;
    }
    return error_kind::bug;
}

std::string as_list(const std::vector<std::string>& requests) {
    json::array out;
    for (const auto& id : requests)
        out.emplace_back(storable(id));
    return json::serialize(out);
}

std::vector<std::string> from_list(const std::string& text) {
    boost::system::error_code failed;
    const auto parsed = json::parse(text, failed);
    std::vector<std::string> out;
    if (failed || !parsed.is_array())
        return out;
    for (const auto& id : parsed.get_array()) {
        if (id.is_string())
            out.emplace_back(id.get_string());
    }
    return out;
}

} // namespace

std::string storable(const std::string& text) {
    return spec::find_bad_character(text) ? printable(text) : text;
}

void insert(soci::session& sql, const std::string& lock, const domain::trouble& trouble) {
    const std::string kind{to_string(trouble.why.kind)};
    const auto where = storable(trouble.why.where);
    const auto what = storable(trouble.why.what);
    const auto code = storable(trouble.why.code);
    const std::int64_t retry_after = trouble.why.retry_after ? trouble.why.retry_after->count() : -1;
    const auto again = milliseconds(trouble.again);
    sql << "insert into postern_trouble (step_lock, kind, place, what, status, code, retry_after_ms, times, "
           "again_ms) values (:lock, :kind, :place, :what, :status, :code, :retry, :times, :again)",
        soci::use(lock, "lock"), soci::use(kind, "kind"), soci::use(where, "place"), soci::use(what, "what"),
        soci::use(trouble.why.status, "status"), soci::use(code, "code"), soci::use(retry_after, "retry"),
        soci::use(trouble.count, "times"), soci::use(again, "again");
}

std::map<std::string, domain::trouble> read_troubles(soci::session& sql) {
    std::map<std::string, domain::trouble> out;
    std::string lock;
    std::string kind;
    domain::trouble trouble;
    std::int64_t retry_after = 0;
    std::int64_t again = 0;
    auto read = once(sql,
                     "select step_lock, kind, place, what, status, code, retry_after_ms, times, again_ms "
                     "from postern_trouble",
                     soci::into(lock), soci::into(kind), soci::into(trouble.why.where), soci::into(trouble.why.what),
                     soci::into(trouble.why.status), soci::into(trouble.why.code), soci::into(retry_after),
                     soci::into(trouble.count), soci::into(again));
    read.execute();
    while (read.fetch()) {
        trouble.why.kind = kind_named(kind);
        trouble.why.retry_after.reset();
        if (retry_after >= 0)
            trouble.why.retry_after = duration{retry_after};
        trouble.again = instant{duration{again}};
        out[lock] = trouble;
    }
    return out;
}

void insert(soci::session& sql, const journal_entry& e, std::int64_t number) {
    const auto at = milliseconds(e.at);
    const auto requests = as_list(e.requests);
    const auto holder = storable(e.holder);
    const auto revision = storable(e.revision);
    const auto resource = storable(e.resource);
    const auto action = storable(e.action);
    const auto target = storable(e.target);
    const auto reason = storable(e.reason);
    const auto words = storable(e.words);
    const auto before = storable(e.before);
    const auto after = storable(e.after);
    const auto failure = storable(e.failure);
    sql << "insert into postern_journal (epoch, number, at_ms, holder, revision, pass, resource, action, target, "
           "reason, words, before_print, after_print, requests, failure) values (:epoch, :number, :at, :holder, "
           ":revision, :pass, :resource, :action, :target, :reason, :words, :before, :after, :requests, :failure)",
        soci::use(e.epoch, "epoch"), soci::use(number, "number"), soci::use(at, "at"), soci::use(holder, "holder"),
        soci::use(revision, "revision"), soci::use(e.pass, "pass"), soci::use(resource, "resource"),
        soci::use(action, "action"), soci::use(target, "target"), soci::use(reason, "reason"),
        soci::use(words, "words"), soci::use(before, "before"), soci::use(after, "after"),
        soci::use(requests, "requests"), soci::use(failure, "failure");
}

std::vector<journal_entry> read_entries(soci::session& sql, instant since, std::size_t most) {
    const auto from = milliseconds(since);
    const auto limit = static_cast<std::int64_t>(std::min<std::size_t>(most, 1'000'000'000));
    journal_entry e;
    std::int64_t at = 0;
    std::string requests;
    auto read =
        once(sql,
             "select epoch, number, at_ms, holder, revision, pass, resource, action, target, reason, "
             "words, before_print, after_print, requests, failure from postern_journal "
             "where at_ms >= :since order by epoch desc, number desc limit :most",
             soci::into(e.epoch), soci::into(e.number), soci::into(at), soci::into(e.holder), soci::into(e.revision),
             soci::into(e.pass), soci::into(e.resource), soci::into(e.action), soci::into(e.target),
             soci::into(e.reason), soci::into(e.words), soci::into(e.before), soci::into(e.after), soci::into(requests),
             soci::into(e.failure), soci::use(from, "since"), soci::use(limit, "most"));
    read.execute();
    std::vector<journal_entry> out;
    while (read.fetch()) {
        e.at = instant{duration{at}};
        e.requests = from_list(requests);
        out.push_back(e);
    }
    std::reverse(out.begin(), out.end());
    return out;
}

} // namespace postern::run::sql
