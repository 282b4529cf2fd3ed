#include "fixture.hpp"

#include <algorithm>
#include <sys/resource.h>
#include <utility>

namespace folder_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;

namespace {

constexpr auto settle = 200ms;

// A folder with one document, watched.
struct watched {
    scratch here;
    followed source;

    watched() : watched("specs") {}
    explicit watched(const std::string& path) : here(), source(make(here, path)) {
        source.read();
        source.watch();
    }

    static std::unique_ptr<run::spec_source> make(const scratch& here, const std::string& path) {
        here.write("specs/a.yaml", vault("a"));
        return run::watch_folders({here.at(path)}, {}, settle);
    }

    // Exactly one change for what `act` does.
    void one_change(const std::function<void()>& act) {
        const int before = source.changes;
        act();
        CHECK(source.sees(before + 1));
        source.idle(settle + 150ms);
        CHECK(source.changes == before + 1);
    }
    void no_change(const std::function<void()>& act) {
        const int before = source.changes;
        act();
        source.idle(settle + 150ms);
        CHECK(source.changes == before);
    }
};

} // namespace

TEST_CASE("a folder is read, and its revision tells names and contents") {
    const scratch here;
    here.write("specs/a.yaml", vault("a"));
    followed source{run::watch_folders({here.at("specs")}, {}, settle)};
    const auto first = source.good();
    CHECK(first.specs.ok());
    CHECK(first.specs.desired.source == here.at("specs"));
    CHECK(first.revision.starts_with("sha256:"));
    CHECK(first.revision.size() == 7 + 16);
    CHECK(source.good().revision == first.revision);
    here.write("specs/b.yaml", vault("b"));
    const auto second = source.good();
    CHECK(second.revision != first.revision);
    fs::rename(here / "specs/b.yaml", here / "specs/c.yaml");
    CHECK(source.good().revision != second.revision);
    fs::remove(here / "specs/c.yaml");
    CHECK(source.good().revision == first.revision);
    here.write("specs/a.yaml", "{");
    CHECK(!source.good().specs.ok());
    fs::remove(here / "specs/a.yaml");
    CHECK(source.bad().kind == error_kind::spec);
    fs::remove(here / "specs");
    const auto e = source.bad();
    CHECK(e.kind == error_kind::spec);
    CHECK(says(e, "No such file"));
}

TEST_CASE("a burst of saves is one change, soon after its end") {
    watched w;
    w.one_change([&] {
        for (int i = 0; i < 20; ++i)
            w.here.write("specs/" + std::to_string(i) + ".yaml", vault("v"));
    });
    w.no_change([] {});
    // In place, on a file that keeps its size.
    const auto saved = std::chrono::steady_clock::now();
    w.here.write("specs/a.yaml", vault("b"));
    CHECK(w.source.sees(2));
    const auto took = std::chrono::steady_clock::now() - saved;
    MESSAGE("from a save to the change: ", std::chrono::duration_cast<std::chrono::microseconds>(took).count(), " us");
    CHECK(took >= settle);
    CHECK(took < 2s); // as long as a burst may be
}

TEST_CASE("saves that never end are told of after two seconds") {
    watched w;
    const auto start = std::chrono::steady_clock::now();
    auto saved = start;
    std::chrono::steady_clock::duration longest_pause{};
    for (int i = 0; w.source.changes == 0 && saved - start < 20s; ++i) {
        w.here.write("specs/a.yaml", vault("v" + std::to_string(i)));
        const auto now = std::chrono::steady_clock::now();
        longest_pause = std::max(longest_pause, now - std::exchange(saved, now));
        w.source.idle(50ms);
    }
    CHECK(w.source.changes == 1);
    // On a machine that was busy elsewhere for so long, they did end.
    if (longest_pause < settle)
        CHECK(std::chrono::steady_clock::now() - start >= 1900ms);
}

TEST_CASE("how editors save") {
    watched w;
    w.one_change([&] { // a new file, renamed over the old one
        w.here.write("specs/.a.yaml.new", vault("b"));
        fs::rename(w.here / "specs/.a.yaml.new", w.here / "specs/a.yaml");
    });
    w.one_change([&] { // the old one renamed away, a new one written
        fs::rename(w.here / "specs/a.yaml", w.here / "specs/a.yaml~");
        w.here.write("specs/a.yaml", vault("c"));
        fs::remove(w.here / "specs/a.yaml~");
    });
    w.one_change([&] { fs::remove(w.here / "specs/a.yaml"); });
    w.one_change([&] { w.here.write("specs/a.yaml", vault("d")); });
    w.no_change([&] {
        w.here.write("specs/.a.yaml.swp", "x");
        w.here.write("specs/4913", "x");
        fs::remove(w.here / "specs/4913");
        w.here.write("specs/readme.md", "x");
        w.here.write("other.yaml", "x");
    });
}

TEST_CASE("new folders, with files in them at once and later, and folders that go") {
    watched w;
    w.one_change([&] { w.here.write("specs/x/y/z/b.yaml", vault("b")); });
    w.one_change([&] { w.here.write("specs/x/y/z/c.yaml", vault("c")); });
    w.one_change([&] { fs::rename(w.here / "specs/x/y", w.here / "specs/moved"); });
    w.one_change([&] { w.here.write("specs/moved/z/c.yaml", vault("e")); });
    w.here.write("outside/d.yaml", vault("d"));
    w.one_change([&] { fs::rename(w.here / "outside", w.here / "specs/inside"); });
    w.one_change([&] { w.here.write("specs/inside/d.yaml", vault("f")); });
    w.one_change([&] { fs::remove_all(w.here / "specs/moved"); });
}

TEST_CASE("the folder itself goes and comes back, at once or after a while, and so does what it lies in") {
    watched w{"top/specs/../specs"};
    // The path was missing from the start.
    w.one_change([&] { w.here.write("top/specs/a.yaml", vault("a")); });
    w.one_change([&] { fs::remove_all(w.here / "top/specs"); });
    CHECK(w.source.bad().kind == error_kind::spec);
    w.one_change([&] { w.here.write("top/specs/a.yaml", vault("b")); });
    w.one_change([&] { w.here.write("top/specs/a.yaml", vault("c")); });
    w.one_change([&] {
        fs::remove_all(w.here / "top/specs");
        w.here.write("top/specs/a.yaml", vault("d"));
    });
    w.one_change([&] { w.here.write("top/specs/a.yaml", vault("e")); });
    w.here.write("next/specs/a.yaml", vault("f"));
    w.one_change([&] {
        fs::rename(w.here / "top", w.here / "last");
        fs::rename(w.here / "next", w.here / "top");
    });
    w.no_change([&] { w.here.write("last/specs/a.yaml", vault("g")); });
    w.one_change([&] { w.here.write("top/specs/a.yaml", vault("h")); });
    CHECK(w.source.good().specs.ok());
}

TEST_CASE("a ConfigMap turns") {
    watched w;
    fs::remove(w.here / "specs/a.yaml");
    w.here.write("specs/..v1/a.yaml", vault("a"));
    fs::create_directory_symlink("..v1", w.here / "specs/..data");
    fs::create_symlink("..data/a.yaml", w.here / "specs/a.yaml");
    CHECK(w.source.sees(1));
    CHECK(w.source.good().specs.ok());
    for (const std::string version : {"..v2", "..v3"}) {
        w.one_change([&] {
            w.here.write("specs/" + version + "/a.yaml", vault("b"));
            fs::create_directory_symlink(version, w.here / "specs/..data_tmp");
            fs::rename(w.here / "specs/..data_tmp", w.here / "specs/..data");
        });
        CHECK(w.source.good().specs.desired.vaults.size() == 1);
    }
    w.one_change([&] { w.here.write("specs/..v3/a.yaml", vault("c")); });
    w.no_change([&] { fs::remove_all(w.here / "specs/..v1"); });
}

TEST_CASE("a folder behind symbolic links, any of which may turn") {
    scratch here;
    here.write("v1/specs/a.yaml", vault("a"));
    here.write("v2/specs/a.yaml", vault("b"));
    fs::create_directory_symlink("v1", here / "current");
    fs::create_directory_symlink(here.at("current/specs"), here / "specs");
    followed source{run::watch_folders({here.at("specs")}, {}, settle)};
    source.good();
    source.watch();
    fs::create_directory_symlink("v2", here / "next");
    fs::rename(here / "next", here / "current");
    CHECK(source.sees(1));
    CHECK(source.good().specs.desired.vaults[0].name == "b");
    here.write("v2/specs/a.yaml", vault("c"));
    CHECK(source.sees(2));
    here.write("v1/specs/a.yaml", vault("d"));
    source.idle(settle + 150ms);
    CHECK(source.changes == 2);
}

TEST_CASE("a file that is named itself: its own folder's other files are nobody's business") {
    watched w{"specs/a.yaml"};
    w.no_change([&] { w.here.write("specs/b.yaml", vault("b")); });
    w.one_change([&] { w.here.write("specs/a.yaml", vault("b")); });
    w.one_change([&] {
        w.here.write("specs/.new", vault("c"));
        fs::rename(w.here / "specs/.new", w.here / "specs/a.yaml");
    });
    w.one_change([&] { fs::remove_all(w.here / "specs"); });
    w.one_change([&] { w.here.write("specs/a.yaml", vault("d")); });
}

TEST_CASE("what changed between reading and watching is told of at once") {
    scratch here;
    here.write("specs/a.yaml", vault("a"));
    followed source{run::watch_folders({here.at("specs")}, {}, settle)};
    source.good();
    here.write("specs/a.yaml", vault("bb"));
    source.watch();
    CHECK(source.changes == 1);
    // And what was read before it was told of is not told of.
    here.write("specs/a.yaml", vault("ccc"));
    source.good();
    source.idle(settle + 150ms);
    CHECK(source.changes == 1);
}

TEST_CASE("without inotify the files are looked at now and then, and it is said") {
    scratch here;
    here.write("specs/a.yaml", vault("a"));
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    // No descriptor is left for inotify.
    std::vector<int> taken;
    rlimit few = before;
    few.rlim_cur = 64;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    for (int fd = ::dup(0); fd >= 0; fd = ::dup(0))
        taken.push_back(fd);
    auto made = run::watch_folders({here.at("specs")}, {}, settle);
    for (const int fd : taken)
        ::close(fd);
    ::setrlimit(RLIMIT_NOFILE, &before);
    followed source{std::move(made)};
    CHECK(source.note().find("every 10s") != std::string::npos);
    source.good();
    source.watch();
    here.write("specs/a.yaml", vault("b"));
    source.idle(500ms);
    CHECK(source.changes == 0);
    CHECK(source.sees(1, 12s));
}

} // namespace folder_test
