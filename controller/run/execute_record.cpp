#include "run/execute.hpp"
#include "run/record_codec.hpp"

#include <algorithm>
#include <utility>

// What Postern keeps in its own folder. The vault looks whether a name is free and then inserts, without a lock: two
// processes that create one name at the same instant make two rows, of which an update changes one and a read may show
// the other, and only a list shows both. So whoever has created a row waits until nobody can be between look and
// insert, and lists; where the name has several rows, everybody picks the same one, and the process that wrote it makes
// it the only one.
namespace postern::run {

namespace asio = boost::asio;
using domain::outcome;
using provider::infisical;
namespace steps = domain::steps;

namespace {

constexpr duration look_to_insert = std::chrono::milliseconds{500}; // in the vault, at the most
constexpr duration too_late = std::chrono::seconds{5};              // to delete what was seen then
constexpr int most_rounds = 4;

constexpr std::string_view about_own_key = "Postern's own: who it is here. Without this key no record can be compared.";
constexpr std::string_view about_record = "Postern's record of this service token: pointers, no secret.";

bool all_are(const vault_entries& rows, const secret& value) {
    return std::all_of(rows.begin(), rows.end(), [&](const auto& row) { return same(row.value, value); });
}

bool differ(const vault_entries& rows) {
    return !rows.empty() && !all_are(rows, rows.front().value);
}

} // namespace

// A step that sends nothing meanwhile.
class executor::rest {
public:
    explicit rest(executor& of) : of_(of) {
        ++of_.resting_;
        if (of_.on_rest)
            of_.on_rest();
    }
    ~rest() { --of_.resting_; }
    rest(const rest&) = delete;
    rest& operator=(const rest&) = delete;

private:
    executor& of_;
};

asio::awaitable<void> executor::let_pass(duration d) {
    const rest meanwhile{*this};
    auto sleep = halt_.sleep_for(around_.clock, d);
    co_await std::move(sleep);
}

asio::awaitable<result<vault_entries>> executor::rows_of(infisical* vault, std::string path, std::string key) {
    const rest meanwhile{*this};
    auto rows = lists_.rows(vault, std::move(path), std::move(key));
    co_return co_await std::move(rows);
}

asio::awaitable<result<vault_entries>> executor::settled_rows(infisical* vault, std::string path, std::string key,
                                                              duration wait) {
    auto pause = let_pass(wait);
    co_await std::move(pause);
    auto rows = rows_of(vault, std::move(path), std::move(key));
    co_return co_await std::move(rows);
}

// Deletes every row and creates this one. Not where the rows were seen too long ago: somebody else may have done it.
asio::awaitable<result<infisical::written>> executor::make_only_row(infisical* vault, std::string path, std::string key,
                                                                    secret value, std::string comment, instant seen) {
    if (around_.clock.now() > seen + too_late)
        co_return moved(key + " in " + path, "its rows were seen too long ago");
    auto removed = co_await vault->remove(path, key);
    if (removed.has_error() || awaits_approval(removed))
        co_return removed;
    auto created = vault->create(std::move(path), std::move(key), std::move(value), std::move(comment));
    co_return co_await std::move(created);
}

executor::task executor::take(steps::initialise s) {
    const std::string key{own_key};
    const std::string where = "vault key " + key + " in " + s.path;
    auto* vault = around_.remotes.vault(s.vault);
    if (vault == nullptr)
        co_return failed(lacks_client("InfisicalVault/" + s.vault));
    auto folder = co_await vault->create_folder(s.path);
    if (folder.has_error())
        co_return failed(folder.error());
    auto found = co_await vault->read(s.path, key);
    if (found.has_error())
        co_return failed(found.error());
    const bool exists = found.value().has_value();
    if (exists) {
        auto rows = co_await rows_of(vault, s.path, key);
        // Whose row counts makes it the only one at once; here it is in case that process is gone.
        if (rows.has_value() && differ(rows.value()))
            rows = co_await settled_rows(vault, s.path, key, too_late);
        if (rows.has_error())
            co_return failed(rows.error());
        auto counting = installation_that_counts(rows.value());
        if (!counting || !differ(rows.value()))
            co_return failed(moved(where, "another process has written it"));
        around_.ring.found(s.vault, std::move(*counting));
    }
    auto seen = around_.clock.now();
    auto value = to_text(around_.ring.of(s.vault));
    auto made = exists ? make_only_row(vault, s.path, key, value.copy(), std::string{about_own_key}, seen)
                       : vault->create(s.path, key, value.copy(), std::string{about_own_key});
    auto written = co_await std::move(made);
    for (int round = 0; round < most_rounds; ++round) {
        if (written.has_error())
            co_return failed(written.error());
        if (awaits_approval(written))
            co_return unapproved();
        auto rows = co_await settled_rows(vault, s.path, key, look_to_insert);
        if (rows.has_error())
            co_return failed(rows.error());
        seen = around_.clock.now();
        if (!rows.value().empty() && all_are(rows.value(), value))
            co_return outcome{};
        auto counting = installation_that_counts(rows.value());
        if (!counting || counting->id != around_.ring.of(s.vault).id)
            break;
        written = co_await make_only_row(vault, s.path, key, value.copy(), std::string{about_own_key}, seen);
    }
    co_return failed(moved(where, "another process has written it at the same time"));
}

executor::task executor::take(steps::write_record s) {
    auto* vault = around_.remotes.vault(s.vault);
    if (vault == nullptr)
        co_return failed(lacks_client("InfisicalVault/" + s.vault));
    auto text = to_text(s.value);
    auto value = secret::consume(text);
    if (!s.exists || s.doubled) {
        auto created = create_record(vault, std::move(s), std::move(value));
        co_return co_await std::move(created);
    }
    auto updated = update_record(vault, std::move(s), std::move(value));
    co_return co_await std::move(updated);
}

executor::task executor::create_record(infisical* vault, steps::write_record s, secret value) {
    const std::string where = "record " + s.token + " in " + s.path;
    const std::string comment{about_record};
    if (!s.doubled) {
        auto created = co_await vault->create(s.path, s.token, value.copy(), comment);
        if (created.has_error())
            co_return failed(created.error());
        if (awaits_approval(created))
            co_return unapproved();
    }
    bool may_replace = s.doubled; // what was seen doubled was judged already
    for (int round = 0; round < most_rounds; ++round) {
        auto rows =
            co_await settled_rows(vault, s.path, s.token, round == 0 && s.doubled ? duration{} : look_to_insert);
        if (rows.has_error())
            co_return failed(rows.error());
        const auto seen = around_.clock.now();
        if (!rows.value().empty() && all_are(rows.value(), value))
            co_return outcome{};
        if (!differ(rows.value()))
            break;
        auto counting = record_that_counts(rows.value(), s.token);
        const bool ours = counting.has_value() && counting.value() && to_text(*counting.value()) == to_text(s.value);
        if (!ours && !may_replace)
            break;
        may_replace = false;
        auto written = co_await make_only_row(vault, s.path, s.token, value.copy(), comment, seen);
        if (written.has_error())
            co_return failed(written.error());
        if (awaits_approval(written))
            co_return unapproved();
    }
    co_return failed(moved(where, "another process has written it at the same time"));
}

// A process that stood still for a while must not cover what another one has written since: the epoch grows with every
// intent. An intent gives the right to make a credential, so it must not be covered by another one either.
executor::task executor::update_record(infisical* vault, steps::write_record s, secret value) {
    const std::string where = "record " + s.token + " in " + s.path;
    const bool intends = s.stage == "intend";
    auto before = co_await vault->read(s.path, s.token);
    if (before.has_error())
        co_return failed(before.error());
    if (!before.value())
        co_return failed(moved(where, "it is gone"));
    auto judged = record_from(before.value()->value.reveal());
    if (judged.has_value() && judged.value().epoch != s.value.epoch - (intends ? 1 : 0))
        co_return failed(moved(where, "another process has written it since"));
    auto came = co_await vault->update(s.path, s.token, value.copy());
    if (came.has_error())
        co_return failed(came.error());
    if (awaits_approval(came))
        co_return unapproved();
    if (!intends)
        co_return outcome{};
    auto pause = let_pass(look_to_insert);
    co_await std::move(pause);
    auto checked = co_await read_back(vault, where, s.path, s.token, std::move(value));
    co_return checked.has_error() ? failed(checked.error()) : outcome{};
}

} // namespace postern::run
