#include "fixture.hpp"
#include "provider/git.hpp"

namespace git_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;

namespace {

run::git_settings settings_for(const scratch& here, const std::string& url) {
    run::git_settings out;
    out.url = url;
    out.path = "specs";
    out.mirror = here.at("mirror");
    out.poll = 50ms;
    return out;
}

std::vector<std::string> vaults(const run::sourced& from) {
    std::vector<std::string> out;
    for (const auto& v : from.specs.desired.vaults)
        out.push_back(v.name);
    return out;
}

struct world {
    scratch here;
    repository origin{here};

    world() { origin.write("specs/a.yaml", vault("a")); }

    std::unique_ptr<run::spec_source> source(const std::function<void(run::git_settings&)>& change = {}) const {
        auto settings = settings_for(here, origin.bare());
        if (change)
            change(settings);
        return run::follow_git(settings, {});
    }
};

using names = std::vector<std::string>;

} // namespace

TEST_CASE("a branch is read, and again after a push, a forced push and one that went back") {
    const world w;
    const auto first = w.origin.push();
    followed source{w.source()};
    auto got = source.good();
    CHECK(got.revision == first);
    CHECK_MESSAGE(got.specs.ok(),
                  spec::to_string(got.specs.problems.empty() ? spec::problem{} : got.specs.problems[0]));
    CHECK(vaults(got) == names{"a"});

    w.origin.write("specs/sub/b.yml", vault("b"));
    w.origin.write("specs/.hidden.yaml", "{");
    w.origin.write("specs/.github/x.yaml", "{");
    w.origin.write("specs/notes.txt", "{");
    w.origin.write("elsewhere.yaml", "{");
    const auto second = w.origin.push();
    got = source.good();
    CHECK(got.revision == second);
    CHECK(vaults(got) == names{"a", "b"});

    w.origin.git("reset -q --hard " + first);
    w.origin.write("specs/a.yaml", vault("c"));
    const auto third = w.origin.push("--force");
    got = source.good();
    CHECK(got.revision == third);
    CHECK(vaults(got) == names{"c"});

    w.origin.git("push -q --force origin " + first + ":main");
    CHECK(source.good().revision == first);
    CHECK(source.good().revision == first);
    // The other process finds the mirror as it is.
    followed another{w.source()};
    CHECK(another.good().revision == first);
}

TEST_CASE("what is wrong in a document is told with its place in the repository") {
    const world w;
    w.origin.write("specs/a.yaml", "apiVersion: postern/v1alpha1\nkind: Vault\n");
    w.origin.push();
    followed source{w.source()};
    const auto got = source.good();
    REQUIRE(!got.specs.problems.empty());
    CHECK(got.specs.problems[0].file == "specs/a.yaml");
    CHECK(got.specs.problems[0].line == 2);
}

TEST_CASE("a clone and the followed repository have one source name") {
    const world w;
    w.origin.push();
    followed source{w.source()};
    const auto clone = w.here.at("clone");
    shell("git clone -q " + w.origin.bare() + " " + clone);
    const auto applied = spec::load({clone + "/specs"}, {});
    CHECK(source.good().specs.desired.source == applied.desired.source);
    CHECK(applied.desired.source == w.here.at("srv/infra") + "//specs");
    for (const std::string path : {"", "/", "."}) {
        followed whole{w.source([&](auto& s) { s.path = path; })};
        CHECK(whole.good().specs.desired.source == spec::load({clone}, {}).desired.source);
    }
    followed by_url{w.source([&](auto& s) { s.url = "file://" + s.url; })};
    CHECK(by_url.good().specs.desired.source == applied.desired.source);
}

TEST_CASE("a branch, folder or document that is not there is an error, not an empty desired state") {
    const world w;
    w.origin.push();
    w.origin.git("push -q origin HEAD:maintenance");
    followed no_branch{w.source([](auto& s) { s.branch = "maim"; })};
    auto e = no_branch.bad();
    CHECK(e.kind == error_kind::spec);
    CHECK(says(e, "there is no branch \"maim\", did you mean \"main\"?"));
    followed bad_branch{w.source([](auto& s) { s.branch = "a..b"; })};
    CHECK(bad_branch.bad().kind == error_kind::spec);

    followed no_path{w.source([](auto& s) { s.path = "spex"; })};
    e = no_path.bad();
    CHECK(e.kind == error_kind::spec);
    CHECK(says(e, "there is no \"spex\" in it"));

    followed one_file{w.source([](auto& s) { s.path = "specs/a.yaml"; })};
    CHECK(vaults(one_file.good()) == names{"a"});

    followed source{w.source()};
    source.good();
    w.origin.git("mv specs/a.yaml specs/a.txt");
    w.origin.push();
    e = source.bad();
    CHECK(e.kind == error_kind::spec);
    CHECK(says(e, "\"specs\" holds no *.yaml or *.yml file"));
    CHECK(source.note().find("holds no") != std::string::npos);

    w.origin.git("checkout -q --orphan other && git -C " + w.origin.tree() + " push -q origin --delete maintenance");
    shell("git -C " + w.origin.bare() + " update-ref -d refs/heads/main");
    e = source.bad();
    CHECK(e.kind == error_kind::spec);
    CHECK(says(e, "no branch at all"));
    w.origin.write("specs/a.yaml", vault("z"));
    w.origin.push();
    CHECK(vaults(source.good()) == names{"z"});
    CHECK(source.note().empty());
}

TEST_CASE("symbolic links and submodules lead nowhere, and a document is not lost to one unseen") {
    const world w;
    w.origin.write("specs/plain.txt", vault("t"));
    w.origin.write("outside/x.yaml", vault("x"));
    const auto in_tree = [&](const std::string& name) { return fs::path(w.origin.tree()) / name; };
    fs::create_symlink("a.yaml", in_tree("specs/link.yaml"));
    fs::create_directory_symlink(".", in_tree("specs/loop"));
    fs::create_symlink("nothing", in_tree("specs/dangling"));
    const auto submodule = w.origin.push();
    w.origin.git("update-index --add --cacheinfo 160000," + submodule + ",specs/module");
    w.origin.git("commit -q -m module && git -C " + w.origin.tree() + " push -q origin HEAD:main");
    followed source{w.source()};
    auto got = source.good();
    CHECK(vaults(got) == names{"a"});
    CHECK(got.specs.ok());

    fs::create_symlink("../outside/x.yaml", in_tree("specs/x.yaml"));
    fs::create_directory_symlink("../outside", in_tree("specs/out"));
    fs::create_symlink("/etc/passwd", in_tree("specs/etc.yaml"));
    fs::create_symlink("plain.txt", in_tree("specs/t.yaml"));
    fs::create_symlink("nothing", in_tree("specs/y.yaml"));
    w.origin.push();
    got = source.good();
    names told;
    for (const auto& p : got.specs.problems)
        told.push_back(p.file);
    std::sort(told.begin(), told.end());
    CHECK(told == names{"specs/etc.yaml", "specs/out", "specs/t.yaml", "specs/x.yaml", "specs/y.yaml"});
    for (const auto& p : got.specs.problems)
        CHECK(p.message.find("root:") == std::string::npos);
}

TEST_CASE("a file that is too large is told of, and not taken in") {
    const world w;
    w.origin.write("specs/huge.yaml", "# " + std::string(std::size_t{96} << 20U, 'x'));
    w.origin.push();
    followed source{w.source()};
    auto got = source.good();
    REQUIRE(got.specs.problems.size() == 1);
    CHECK(spec::to_string(got.specs.problems[0]) == "specs/huge.yaml: larger than 1048576 bytes");
}

TEST_CASE("a mirror that is broken is made anew") {
    const world w;
    const auto tip = w.origin.push();
    followed source{w.source()};
    source.good();
    const auto mirror = w.here / "mirror";
    auto all_below = [&](const fs::path& folder, const std::function<void(const fs::path&)>& act) {
        std::vector<fs::path> files;
        for (const auto& entry : fs::recursive_directory_iterator(folder)) {
            if (entry.is_regular_file())
                files.push_back(entry.path());
        }
        REQUIRE(!files.empty());
        for (const auto& file : files)
            act(file);
    };
    auto garble = [](const fs::path& file) {
        fs::permissions(file, fs::perms::owner_write, fs::perm_options::add);
        std::ofstream(file, std::ios::trunc) << "rubbish";
    };
    auto drop = [](const fs::path& file) { fs::remove(file); };
    garble(mirror / "HEAD");
    CHECK(source.good().revision == tip);
    garble(mirror / "config");
    CHECK(source.good().revision == tip);
    all_below(mirror / "objects", garble);
    CHECK(source.good().revision == tip);
    all_below(mirror / "objects", drop);
    CHECK(source.good().revision == tip);
    all_below(mirror / "refs", garble);
    CHECK(source.good().revision == tip);
    fs::remove_all(mirror / "objects");
    CHECK(source.good().revision == tip);
    fs::remove_all(mirror);
    CHECK(source.good().revision == tip);
    // As if it had been stopped while it was made anew.
    for (const auto& entry : fs::directory_iterator(mirror)) {
        if (entry.path().filename() != "postern-mirror")
            fs::remove_all(entry.path());
    }
    CHECK(source.good().revision == tip);
    CHECK(fs::exists(mirror / "HEAD"));
}

TEST_CASE("a mirror of another repository, or with too many packs, is made anew") {
    const world w;
    w.origin.push();
    followed source{w.source()};
    source.good();
    const auto packs = w.here / "mirror/objects/pack";
    for (int i = 0; i < 60; ++i)
        std::ofstream(packs / ("pack-" + std::to_string(i) + ".pack")) << "rubbish";
    source.good();
    CHECK(!fs::exists(packs / "pack-1.pack"));

    const scratch elsewhere;
    const repository other{elsewhere};
    other.write("specs/a.yaml", vault("other"));
    const auto tip = other.push();
    followed moved{w.source([&](auto& s) { s.url = other.bare(); })};
    CHECK(moved.good().revision == tip);
    CHECK(shell("git -C " + w.here.at("mirror") + " for-each-ref --format='%(objectname)'") == tip);
}

TEST_CASE("somebody's folder is no mirror, and nothing in it is touched") {
    const world w;
    w.origin.push();
    shell("git init -q --bare " + w.here.at("bare"));
    w.here.write("notes/readme.md", "mine");
    for (const std::string folder : {"bare", "notes", "tree"}) {
        const auto before = shell("cd " + w.here.at(folder) + " && find . -type f -exec sha256sum {} + | sort");
        followed source{w.source([&](auto& s) { s.mirror = w.here.at(folder); })};
        const auto e = source.bad();
        CHECK(e.kind == error_kind::spec);
        CHECK(says(e, "no mirror of Postern's"));
        CHECK(shell("cd " + w.here.at(folder) + " && find . -type f -exec sha256sum {} + | sort") == before);
    }
    followed source{w.source()};
    source.good();
    w.here.write("mirror/thesis.tex", "mine");
    w.here.write("mirror/HEAD", "rubbish");
    auto e = source.bad();
    CHECK(e.kind == error_kind::spec);
    CHECK(says(e, "thesis.tex"));
    CHECK(fs::exists(w.here / "mirror/thesis.tex"));
    followed nameless{w.source([](auto& s) { s.mirror.clear(); })};
    CHECK(nameless.bad().kind == error_kind::spec);
    w.here.write("file", "");
    followed on_a_file{w.source([&](auto& s) { s.mirror = w.here.at("file"); })};
    CHECK(on_a_file.bad().kind == error_kind::spec);
}

TEST_CASE("a repository that is not there is waited for") {
    const world w;
    const auto tip = w.origin.push();
    followed source{w.source()};
    source.good();
    fs::rename(w.origin.bare(), w.here / "away");
    auto e = source.bad();
    CHECK_MESSAGE(e.kind == error_kind::unavailable, e.message());
    fs::rename(w.here / "away", w.origin.bare());
    CHECK(source.good().revision == tip);
}

TEST_CASE("a URL with a password in it is refused and not repeated") {
    for (const std::string url :
         {"https://user:hunter22@example.com/x", "https://hunter22@example.com/x", "ssh://git:hunter22@example.com/x",
          "git:hunter22@example.com:x/y", "https://example.com/x?token=hunter22", "http://example.com/hunter22",
          "git://example.com/hunter22", "", "https:///hunter22", "https://example.com/a hunter22",
          "https://example.com/\nhunter22"}) {
        const auto checked = provider::check_git_url(url);
        REQUIRE_MESSAGE(checked.has_error(), url);
        CHECK(checked.error().kind == error_kind::spec);
        CHECK_MESSAGE(!says(checked.error(), "hunter22"), url);
        const scratch here;
        followed source{run::follow_git(settings_for(here, url), {})};
        CHECK(!says(source.bad(), "hunter22"));
    }
    for (const std::string url :
         {"https://github.com/o/r", "https://h:8443/o/r.git", "ssh://git@h:22/o/r", "git@github.com:o/r.git",
          "github.com:o/r", "file:///srv/x", "/srv/x", "../x", "./a:b"})
        CHECK_MESSAGE(provider::check_git_url(url).has_value(), url);
}

TEST_CASE("watching: a push is one change, and so is a branch that goes and comes back") {
    const world w;
    w.origin.push();
    followed source{w.source()};
    source.good();
    source.watch();
    source.idle(300ms);
    CHECK(source.changes == 0);
    w.origin.write("specs/b.yaml", vault("b"));
    const auto tip = w.origin.push();
    CHECK(source.sees(1));
    source.idle(300ms);
    CHECK(source.changes == 1);
    CHECK(source.good().revision == tip);

    shell("git -C " + w.origin.bare() + " update-ref -d refs/heads/main");
    CHECK(source.sees(2));
    source.idle(300ms);
    CHECK(source.changes == 2);
    w.origin.git("push -q origin HEAD:main");
    CHECK(source.sees(3));

    // Unreachable is no news; what comes after it is.
    source.good();
    fs::rename(w.origin.bare(), w.here / "away");
    source.idle(300ms);
    CHECK(source.changes == 3);
    CHECK(!source.note().empty());
    CHECK(source.bad().kind == error_kind::unavailable);
    fs::rename(w.here / "away", w.origin.bare());
    CHECK(source.sees(4));
    source.stop();
}

} // namespace git_test
