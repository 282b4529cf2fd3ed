#include "base/text.hpp"
#include "provider/git.hpp"
#include "run/side_thread.hpp"
#include "run/spec_source.hpp"
#include "spec/source.hpp"
#include "spec/yaml.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdlib>

namespace postern::run {

namespace asio = boost::asio;

namespace {

// What a call on the side thread uses, and leaves behind.
template<class T>
struct errand {
    provider::git_access access;
    provider::git_wish wish;
    provider::git_line line;
    std::optional<result<T>> got;
};

class git_source final : public spec_source {
public:
    git_source(git_settings settings, spec::load_options options)
        : settings_(std::move(settings)), options_(std::move(options)) {
        // libgit2's ssh does nothing where there is no home, although nothing is needed from it.
        if (std::getenv("HOME") == nullptr)
            ::setenv("HOME", "/nonexistent", 0);
    }

    asio::awaitable<result<sourced>> read() override {
        auto got = co_await fetch();
        note_ = got ? "" : got.error().message();
        if (!got) {
            seen_.reset();
            co_return got.error();
        }
        seen_ = got->commit;
        co_return load(std::move(*got));
    }

    asio::awaitable<void> watch(std::function<void()> changed) override {
        auto executor = co_await asio::this_coro::executor;
        asio::steady_timer timer{executor};
        for (;;) {
            timer.expires_after(settings_.poll);
            auto token = asio::as_tuple(asio::use_awaitable);
            auto [ec] = co_await timer.async_wait(token);
            if (ec)
                co_return;
            auto tip = co_await ask();
            auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none)
                co_return;
            note_ = tip ? "" : tip.error().message();
            // A branch or repository that is gone is news too; a remote that cannot be asked is not.
            if (!tip && tip.error().kind != error_kind::spec)
                continue;
            const auto now = tip ? *tip : tip.error().what;
            if (now == seen_)
                continue;
            seen_ = now;
            changed();
        }
    }

    std::string note() const override { return note_; }

private:
    asio::awaitable<result<provider::git_checkout>> fetch() {
        auto one = std::make_shared<errand<provider::git_checkout>>();
        auto ready = prepare(*one);
        if (!ready)
            co_return ready.error();
        auto call = [one] { one->got = provider::git_fetch(one->access, one->wish, one->line); };
        auto cut = [one] { one->line.cut(); };
        const auto how = co_await thread_.run(std::move(call), std::move(cut), settings_.timeout);
        if (how == side_thread::outcome::ended && one->got)
            co_return std::move(*one->got);
        co_return not_ended("git fetch", how);
    }

    asio::awaitable<result<std::string>> ask() {
        auto one = std::make_shared<errand<std::string>>();
        auto ready = prepare(*one);
        if (!ready)
            co_return ready.error();
        auto call = [one] { one->got = provider::git_tip(one->access, one->line); };
        auto cut = [one] { one->line.cut(); };
        const auto how = co_await thread_.run(std::move(call), std::move(cut), settings_.timeout);
        if (how == side_thread::outcome::ended && one->got)
            co_return std::move(*one->got);
        co_return not_ended("git ls-remote", how);
    }

    template<class T>
    result<void> prepare(errand<T>& one) const {
        auto fine = provider::check_git_url(settings_.url);
        if (!fine)
            return fine;
        one.access.url = settings_.url;
        one.access.branch = settings_.branch;
        one.access.ca_file = settings_.ca_file;
        one.access.https_proxy = settings_.https_proxy;
        one.access.no_proxy = settings_.no_proxy;
        one.access.key = settings_.key;
        one.access.known_hosts = settings_.known_hosts;
        one.wish = {settings_.mirror, settings_.path, spec::yaml_limits{}.bytes};
        if (!settings_.token || lower(settings_.url.substr(0, 6)) != "https:")
            return {};
        auto token = settings_.token();
        if (!token)
            return token.error();
        one.access.token = std::move(*token);
        return {};
    }

    error not_ended(const std::string& what, side_thread::outcome how) const {
        error e;
        e.kind = error_kind::timeout;
        e.where = what + " " + settings_.url;
        switch (how) {
        case side_thread::outcome::ended:
            e.kind = error_kind::unavailable;
            e.what = "it ended without a result";
            break;
        case side_thread::outcome::left:
            e.what = "no answer within " + format_duration(settings_.timeout);
            break;
        case side_thread::outcome::busy:
            e.what = "an earlier call still hangs, or no thread can be had";
            break;
        case side_thread::outcome::cancelled:
            e.kind = error_kind::cancelled;
            e.what = "cancelled";
            break;
        }
        return e;
    }

    sourced load(provider::git_checkout from) const {
        spec::folder_contents contents;
        for (auto& file : from.files)
            contents.files.push_back({std::move(file.path), std::move(file.text)});
        for (auto& link : from.wrong)
            contents.problems.push_back(spec::problem_of(link.path, std::move(link.text)));
        const auto name =
            options_.source.empty() ? spec::source_name_in(settings_.url, settings_.path) : options_.source;
        return {spec::load(contents, name, options_), std::move(from.commit)};
    }

    git_settings settings_;
    spec::load_options options_;
    std::optional<std::string> seen_; // the branch's last commit that was read or told of
    std::string note_;
    side_thread thread_;
};

} // namespace

std::unique_ptr<spec_source> follow_git(git_settings settings, spec::load_options options) {
    return std::make_unique<git_source>(std::move(settings), std::move(options));
}

} // namespace postern::run
