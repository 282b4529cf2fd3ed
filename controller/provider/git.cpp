#include "provider/git.hpp"

#include "provider/git_remote.hpp"
#include "provider/git_tree.hpp"
#include "provider/mirror_folder.hpp"

#include <filesystem>

namespace postern::provider {

namespace {

// Each fetch that brings something leaves a pack, and libgit2 never puts them together.
constexpr std::size_t most_packs = 50;

// A path must be one for libgit2 too, wherever the process stands.
std::string address_of(const std::string& url) {
    const auto colon = url.find(':');
    if (colon != std::string::npos && colon < url.find('/'))
        return url;
    return std::filesystem::absolute(url).lexically_normal().string();
}

result<void> check_access(const git_access& access) {
    auto fine = check_git_url(access.url);
    if (!fine)
        return fine;
    int valid = 0;
    if (git_reference_name_is_valid(&valid, ("refs/heads/" + access.branch).c_str()) < 0 || valid == 0) {
        return failure(error_kind::spec, "the branch \"" + access.branch + "\"", "is no name that a branch can have");
    }
    return {};
}

class fetch {
public:
    fetch(git_call& call, const git_access& access, const git_wish& wish, mirror_folder& folder)
        : call_(call), wish_(wish), folder_(folder), url_(address_of(access.url)),
          branch_("refs/heads/" + access.branch) {}

    result<git_checkout> run() {
        auto opened = open();
        if (!opened)
            return opened.error();
        auto got = fetch_and_read();
        if (got || !damaged_ || is_new_)
            return got;
        auto renewed = make_anew();
        return renewed ? fetch_and_read() : result<git_checkout>{renewed.error()};
    }

private:
    result<void> open() {
        if (folder_.of() == url_ && folder_.packs() <= most_packs) {
            git_repository* repository = nullptr;
            if (git_repository_open_bare(&repository, folder_.path().c_str()) == 0) {
                repository_.reset(repository);
                return {};
            }
        }
        return make_anew();
    }

    result<void> make_anew() {
        is_new_ = true;
        damaged_ = false;
        repository_.reset();
        auto emptied = folder_.start_anew(url_);
        if (!emptied)
            return emptied;
        git_repository* repository = nullptr;
        if (const int code = git_repository_init(&repository, folder_.path().c_str(), 1); code < 0)
            return call_.failure(code);
        repository_.reset(repository);
        return {};
    }

    // A failure of the mirror's own, told from one of the remote.
    error own_failure(int code) {
        damaged_ = !call_.is_remote(code);
        return call_.failure(code);
    }

    result<git_checkout> fetch_and_read() {
        git_remote* made = nullptr;
        git_remote_create_options how{};
        git_remote_create_options_init(&how, GIT_REMOTE_CREATE_OPTIONS_VERSION);
        how.repository = repository_.get();
        // Nobody's configuration rewrites the address; looking for such words leaks memory in libgit2 1.5, each time.
        how.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
        if (const int code = git_remote_create_with_opts(&made, url_.c_str(), &how); code < 0)
            return own_failure(code);
        const git_pointer<git_remote> remote{made};
        auto connected = call_.connect(remote.get());
        if (!connected)
            return connected.error();
        auto tip = call_.tip(remote.get());
        if (!tip)
            return tip.error();
        auto brought = bring(remote.get(), *tip);
        git_remote_disconnect(remote.get());
        if (!brought)
            return brought.error();
        return read(*tip);
    }

    result<void> bring(git_remote* remote, const git_oid& tip) {
        git_oid here;
        const bool known = git_reference_name_to_id(&here, repository_.get(), branch_.c_str()) == 0;
        if (known && git_oid_equal(&here, &tip) != 0)
            return {};
        auto refspec = "+" + branch_ + ":" + branch_;
        char* one = refspec.data();
        const git_strarray refspecs{&one, 1};
        const auto how = call_.fetch_options();
        if (const int code = git_remote_download(remote, &refspecs, &how); code < 0)
            return own_failure(code);
        git_reference* made = nullptr;
        if (const int code = git_reference_create(&made, repository_.get(), branch_.c_str(), &tip, 1, nullptr);
            code < 0)
            return own_failure(code);
        git_reference_free(made);
        return prune();
    }

    // Only the branch that is followed stays.
    result<void> prune() {
        git_strarray names{nullptr, 0};
        if (const int code = git_reference_list(&names, repository_.get()); code < 0)
            return own_failure(code);
        int code = 0;
        for (std::size_t i = 0; i < names.count && code >= 0; ++i) {
            if (names.strings[i] != branch_)
                code = git_reference_remove(repository_.get(), names.strings[i]);
        }
        git_strarray_dispose(&names);
        if (code < 0)
            return own_failure(code);
        return {};
    }

    result<git_checkout> read(const git_oid& commit) {
        git_tree_reader reader{repository_.get(), wish_.path, wish_.bytes};
        const int code = reader.read(commit);
        if (code < 0)
            return own_failure(code);
        const auto id = std::string{git_oid_tostr_s(&commit)};
        if (!reader.complaint().empty())
            return call_.failed(error_kind::spec, reader.complaint() + " (commit " + id.substr(0, 12) + ")");
        git_checkout out;
        out.commit = id;
        out.files = reader.take_files();
        out.wrong = reader.take_wrong();
        return out;
    }

    git_call& call_;
    const git_wish& wish_;
    mirror_folder& folder_;
    std::string url_;
    std::string branch_;
    git_pointer<git_repository> repository_;
    bool is_new_ = false;
    bool damaged_ = false;
};

} // namespace

result<std::string> git_tip(const git_access& access, git_line& line) {
    git_call call{access, line, "git ls-remote"};
    auto begun = call.begin();
    if (!begun)
        return begun.error();
    auto fine = check_access(access);
    if (!fine)
        return fine.error();
    git_remote* made = nullptr;
    if (const int code = git_remote_create_detached(&made, address_of(access.url).c_str()); code < 0)
        return call.failure(code);
    const git_pointer<git_remote> remote{made};
    auto connected = call.connect(remote.get());
    if (!connected)
        return connected.error();
    auto tip = call.tip(remote.get());
    git_remote_disconnect(remote.get());
    if (!tip)
        return tip.error();
    return std::string{git_oid_tostr_s(&*tip)};
}

result<git_checkout> git_fetch(const git_access& access, const git_wish& wish, git_line& line) {
    git_call call{access, line, "git fetch"};
    auto begun = call.begin();
    if (!begun)
        return begun.error();
    auto fine = check_access(access);
    if (!fine)
        return fine.error();
    auto folder = mirror_folder::take(wish.mirror, [&line] { return line.is_cut(); });
    if (!folder)
        return folder.error();
    return fetch{call, access, wish, *folder}.run();
}

} // namespace postern::provider
