#include "run/execute.hpp"

#include <algorithm>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;
using domain::outcome;
using provider::infisical;
namespace steps = domain::steps;

namespace {

constexpr std::string_view about_key = "Kept up to date by Postern.";

std::string place(const std::string& path, const std::string& key) {
    return "vault key " + key + " in " + path;
}

error hidden(const std::string& where) {
    return {error_kind::refused, where, "the identity may see that it exists, but not read it", 0, {}, {}};
}

} // namespace

bool awaits_approval(const result<infisical::written>& came) {
    return came.has_value() && came.value() == infisical::written::awaiting_approval;
}

outcome unapproved() {
    outcome out;
    out.awaiting_approval = true;
    return out;
}

asio::awaitable<result<void>> executor::read_back(infisical* vault, std::string where, std::string path,
                                                  std::string key, secret value) {
    auto now = co_await vault->read(path, key);
    if (now.has_error())
        co_return now.error();
    if (!now.value())
        co_return moved(where, "it was written, but is not there");
    const secret expected{provider::as_stored(value.reveal())};
    if (!same(now.value()->value, expected))
        co_return moved(where, "it was written, but holds something else now");
    co_return boost::system::in_place_value;
}

executor::task executor::take(steps::hold s) {
    const std::string key = s.token + "." + s.nonce;
    const std::string where = place(s.path, key);
    auto* vault = around_.remotes.vault(s.vault);
    if (vault == nullptr)
        co_return failed(lacks_client("InfisicalVault/" + s.vault));
    const secret* known = around_.ring.find(s.fingerprint);
    if (known == nullptr)
        co_return failed(lacks_secret(where, s.fingerprint));
    auto value = known->copy();
    auto created = co_await vault->create(s.path, key, value.copy(),
                                          "A credential that Postern keeps for " + s.token + ". Written once.");
    if (awaits_approval(created))
        co_return unapproved();
    // A key that is there already is fine where it holds this very credential.
    if (created.has_error() && created.error().kind != error_kind::conflict)
        co_return failed(created.error());
    auto checked = co_await read_back(vault, where, s.path, key, std::move(value));
    co_return checked.has_error() ? failed(checked.error()) : outcome{};
}

executor::task executor::take(steps::write_credential s) {
    const std::string where = place(s.path, s.key);
    auto* vault = around_.remotes.vault(s.vault);
    if (vault == nullptr)
        co_return failed(lacks_client("InfisicalVault/" + s.vault));
    const secret* known = around_.ring.find(s.fingerprint);
    if (known == nullptr)
        co_return failed(lacks_secret(where, s.fingerprint));
    auto value = known->copy();
    auto found = co_await vault->read(s.path, s.key);
    if (found.has_error())
        co_return failed(found.error());
    if (found.value() && found.value()->hidden)
        co_return failed(hidden(where));
    const auto now = found.value() ? around_.ring.fingerprint(s.vault, found.value()->value) : std::string{};
    if (now == s.fingerprint)
        co_return outcome{};
    if (now != s.before)
        co_return failed(moved(where, "it changed since it was judged"));
    auto written = found.value() ? vault->update(s.path, s.key, value.copy())
                                 : vault->create(s.path, s.key, value.copy(), std::string{about_key});
    auto came = co_await std::move(written);
    if (came.has_error())
        co_return failed(came.error());
    if (awaits_approval(came))
        co_return unapproved();
    auto checked = co_await read_back(vault, where, s.path, s.key, value.copy());
    if (checked.has_error() && found.value()) {
        auto healed = replace_twins(vault, s, value.copy());
        checked = co_await std::move(healed);
    }
    co_return checked.has_error() ? failed(checked.error()) : outcome{};
}

// Where two processes created the key at the same instant it has two equal rows, and an update changes one of them. If
// that is all there is, the key is made anew.
asio::awaitable<result<void>> executor::replace_twins(infisical* vault, steps::write_credential s, secret value) {
    const std::string where = place(s.path, s.key);
    auto rows = co_await rows_of(vault, s.path, s.key);
    if (rows.has_error())
        co_return rows.error();
    const auto seen = around_.clock.now();
    const bool twins =
        rows.value().size() > 1 && std::all_of(rows.value().begin(), rows.value().end(), [&](const auto& row) {
            return same(row.value, value) || around_.ring.fingerprint(s.vault, row.value) == s.before;
        });
    if (!twins)
        co_return moved(where, "it was written, but holds something else now");
    auto made = co_await make_only_row(vault, s.path, s.key, value.copy(), std::string{about_key}, seen);
    if (made.has_error())
        co_return made.error();
    auto checked = read_back(vault, where, s.path, s.key, std::move(value));
    co_return co_await std::move(checked);
}

executor::task executor::take(steps::delete_key s) {
    const std::string where = place(s.path, s.key);
    auto* vault = around_.remotes.vault(s.vault);
    if (vault == nullptr)
        co_return failed(lacks_client("InfisicalVault/" + s.vault));
    auto found = co_await vault->read(s.path, s.key);
    if (found.has_error())
        co_return failed(found.error());
    if (!found.value())
        co_return outcome{};
    if (!s.fingerprint.empty() && found.value()->hidden)
        co_return failed(hidden(where));
    if (!s.fingerprint.empty() && around_.ring.fingerprint(s.vault, found.value()->value) != s.fingerprint)
        co_return failed(moved(where, "it holds another value than the one that was to be deleted"));
    auto removed = co_await vault->remove(s.path, s.key);
    if (removed.has_error())
        co_return failed(removed.error());
    co_return awaits_approval(removed) ? unapproved() : outcome{};
}

} // namespace postern::run
