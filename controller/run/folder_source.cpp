#include "base/text.hpp"
#include "run/folder_watch.hpp"
#include "run/spec_source.hpp"
#include "spec/folder.hpp"
#include "spec/source.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/evp.h>

#include <array>
#include <unistd.h>

namespace postern::run {

namespace asio = boost::asio;

namespace {

using steady = std::chrono::steady_clock;

constexpr auto longest_burst = std::chrono::seconds{2};
constexpr auto look_anyway = std::chrono::seconds{30};
constexpr auto poll_instead = std::chrono::seconds{10};

// Names and contents, each with its length, so that no two sets of files look alike.
std::string revision_of(const std::vector<spec::spec_file>& files) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> sum{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
    EVP_DigestInit_ex(sum.get(), EVP_sha256(), nullptr);
    for (const auto& file : files) {
        for (const auto* part : {&file.name, &file.text}) {
            const auto length = std::to_string(part->size()) + ":";
            EVP_DigestUpdate(sum.get(), length.data(), length.size());
            EVP_DigestUpdate(sum.get(), part->data(), part->size());
        }
    }
    EVP_DigestFinal_ex(sum.get(), digest.data(), &size);
    constexpr std::size_t digits = 16;
    return "sha256:" + hex({reinterpret_cast<const char*>(digest.data()), size}).substr(0, digits);
}

// Waits for events on a descriptor, each time no longer than until then.
class event_wait {
public:
    event_wait(const asio::any_io_executor& executor, int descriptor)
        : descriptor_(std::make_shared<asio::posix::stream_descriptor>(executor)), timer_(executor) {
        // A descriptor of its own: Asio closes what it is given.
        if (descriptor >= 0)
            descriptor_->assign(::dup(descriptor));
    }

    enum class outcome { event, time_is_up, cancelled };

    asio::awaitable<outcome> wait(steady::time_point until) {
        timer_.expires_at(until);
        auto token = asio::as_tuple(asio::use_awaitable);
        boost::system::error_code failed;
        if (descriptor_->is_open()) {
            std::weak_ptr<asio::posix::stream_descriptor> weak = descriptor_;
            auto stop = [weak](boost::system::error_code ec) {
                if (const auto waiting = weak.lock(); waiting && !ec)
                    waiting->cancel();
            };
            timer_.async_wait(std::move(stop));
            auto [ec] = co_await descriptor_->async_wait(asio::posix::stream_descriptor::wait_read, token);
            failed = ec;
            timer_.cancel();
        } else {
            auto [ec] = co_await timer_.async_wait(token);
            failed = ec ? ec : asio::error::operation_aborted;
        }
        auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
            co_return outcome::cancelled;
        co_return failed ? outcome::time_is_up : outcome::event;
    }

private:
    std::shared_ptr<asio::posix::stream_descriptor> descriptor_;
    asio::steady_timer timer_;
};

class folder_source final : public spec_source {
public:
    folder_source(std::vector<std::string> paths, spec::load_options options, duration settle)
        : paths_(std::move(paths)), options_(std::move(options)), settle_(settle), watch_(paths_) {}

    asio::awaitable<result<sourced>> read() override {
        // How it looks before it is read: what changes meanwhile is another change.
        seen_ = watch_.look();
        const auto contents = spec::read_files(paths_);
        if (contents.files.empty() && !contents.problems.empty()) {
            error e;
            e.kind = error_kind::spec;
            e.where = "the documents";
            std::vector<std::string> all;
            for (const auto& p : contents.problems)
                all.push_back(spec::to_string(p));
            e.what = join(all, "; ");
            co_return e;
        }
        const auto name = options_.source.empty() ? spec::source_name(paths_) : options_.source;
        co_return sourced{spec::load(contents, name, options_), revision_of(contents.files)};
    }

    asio::awaitable<void> watch(std::function<void()> changed) override {
        auto executor = co_await asio::this_coro::executor;
        event_wait events{executor, watch_.descriptor()};
        tell(changed);
        for (;;) {
            const auto period = watch_.trouble().empty() ? steady::duration{look_anyway} : poll_instead;
            auto how = co_await events.wait(steady::now() + period);
            if (how == event_wait::outcome::cancelled)
                co_return;
            if (how == event_wait::outcome::event && !watch_.take_events())
                continue;
            const auto latest = steady::now() + longest_burst;
            auto until = steady::now() + settle_;
            while (how == event_wait::outcome::event) {
                how = co_await events.wait(std::min(until, latest));
                if (how == event_wait::outcome::cancelled)
                    co_return;
                if (how == event_wait::outcome::event && watch_.take_events())
                    until = steady::now() + settle_;
                if (steady::now() >= latest)
                    break;
            }
            tell(changed);
        }
    }

    std::string note() const override {
        return watch_.trouble().empty()
                   ? ""
                   : watch_.trouble() + ": the files are looked at every " + format_duration(poll_instead);
    }

private:
    void tell(const std::function<void()>& changed) {
        auto now = watch_.look();
        const bool is_new = seen_ && *seen_ != now;
        seen_ = std::move(now);
        if (is_new)
            changed();
    }

    std::vector<std::string> paths_;
    spec::load_options options_;
    duration settle_;
    folder_watch watch_;
    std::optional<std::string> seen_; // how the files looked when they were last read or told of
};

} // namespace

std::unique_ptr<spec_source> watch_folders(std::vector<std::string> paths, spec::load_options options,
                                           duration settle) {
    return std::make_unique<folder_source>(std::move(paths), std::move(options), settle);
}

} // namespace postern::run
