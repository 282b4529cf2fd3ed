#pragma once

#include "base/instant.hpp"
#include "domain/observed.hpp"
#include "run/store.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <soci/soci.h>
#include <string>
#include <vector>

// The store's rows, to and from SQL. Whoever includes this pays for SOCI.
namespace postern::run::sql {

// A statement that is sent once, with no name on the server: a pooler hands the next one to another session.
template<class... Bound>
soci::statement once(soci::session& sql, const std::string& text, const Bound&... bound) {
    soci::statement out{sql};
    out.alloc();
    (out.exchange(bound), ...);
    out.prepare(text, soci::details::st_one_time_query);
    out.define_and_bind();
    return out;
}

// PostgreSQL takes neither NUL nor broken UTF-8, and one such word must not cost a whole journal: it is escaped.
std::string storable(const std::string& text);

void insert(soci::session& sql, const std::string& lock, const domain::trouble& trouble);
std::map<std::string, domain::trouble> read_troubles(soci::session& sql);

void insert(soci::session& sql, const journal_entry& e, std::int64_t number);
// Oldest first.
std::vector<journal_entry> read_entries(soci::session& sql, instant since, std::size_t most);

} // namespace postern::run::sql
