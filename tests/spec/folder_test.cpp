#include "documents.hpp"
#include "spec/source.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

namespace folder_test {

using namespace postern;
namespace fs = std::filesystem;

namespace {

// A folder that goes when the test does.
class scratch {
public:
    scratch() {
        auto name = (fs::temp_directory_path() / "postern-spec-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        root_ = fs::canonical(name);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() { fs::remove_all(root_); }

    fs::path operator/(const std::string& name) const { return root_ / name; }
    void write(const std::string& name, const std::string& text) const {
        fs::create_directories((root_ / name).parent_path());
        std::ofstream(root_ / name) << text;
    }

    // The names of the files that are read, and the problems, less the way here.
    std::vector<std::string> seen(const std::vector<std::string>& paths) const {
        std::vector<std::string> full;
        for (const auto& path : paths)
            full.push_back((root_ / path).string());
        const auto got = spec::read_files(full);
        std::vector<std::string> out;
        for (const auto& file : got.files)
            out.push_back(file.name.substr(root_.string().size() + 1));
        for (const auto& p : got.problems)
            out.push_back("! " + spec::to_string(p).substr(root_.string().size() + 1));
        return out;
    }

private:
    fs::path root_;
};

using names = std::vector<std::string>;

} // namespace

TEST_CASE("folders are walked in order, hidden ones and other files passed over") {
    const scratch here;
    for (auto name :
         {"s/b.yaml", "s/a.yml", "s/sub/c.yaml", "s/.git/d.yaml", "s/.e.yaml", "s/f.json", "s/a/z.yaml", "t.txt"})
        here.write(name, "x: 1\n");
    CHECK(here.seen({"s"}) == names{"s/a/z.yaml", "s/a.yml", "s/b.yaml", "s/sub/c.yaml"});
    CHECK(here.seen({"s/"}) == here.seen({"s"}));
    CHECK(here.seen({"./s/../s"}) == here.seen({"s"}));
    CHECK(here.seen({"s/sub", "s", "s/b.yaml"}) == names{"s/sub/c.yaml", "s/a/z.yaml", "s/a.yml", "s/b.yaml"});
    // A file that is named is read, whatever its name.
    CHECK(here.seen({"t.txt", "s/.e.yaml"}) == names{"t.txt", "s/.e.yaml"});
}

TEST_CASE("what cannot be read is said") {
    const scratch here;
    here.write("s/a.yaml", "x: 1\n");
    here.write("empty/readme.md", "");
    CHECK(here.seen({"nowhere", "s"}) == names{"s/a.yaml", "! nowhere: cannot be read: No such file or directory"});
    CHECK(here.seen({"empty"}) == names{"! empty: holds no *.yaml or *.yml file"});
    REQUIRE(mkfifo((here / "s/pipe.yaml").c_str(), 0600) == 0);
    CHECK(here.seen({"s"}) == names{"s/a.yaml", "! s/pipe.yaml: is not a file"});
    if (geteuid() != 0) {
        fs::permissions(here / "s/a.yaml", fs::perms::none);
        CHECK(here.seen({"s/a.yaml"}) == names{"! s/a.yaml: cannot be read: Permission denied"});
    }
}

TEST_CASE("symbolic links are followed only within the folder") {
    const scratch here;
    here.write("out/x.yaml", "x: 1\n");
    here.write("s/..v1/a.yaml", "x: 1\n");
    fs::create_directory_symlink("..v1", here / "s/..data");
    fs::create_symlink("..data/a.yaml", here / "s/a.yaml");
    fs::create_symlink("a.yaml", here / "s/b.yaml");
    fs::create_directory_symlink(".", here / "s/loop");
    // As a mounted ConfigMap looks; each file once.
    CHECK(here.seen({"s"}) == names{"s/a.yaml"});
    fs::create_directory_symlink("../out", here / "s/out");
    fs::create_symlink("../out/x.yaml", here / "s/x.yaml");
    fs::create_symlink("nothing", here / "s/y.yaml");
    CHECK(here.seen({"s"}) == names{"s/a.yaml", "! s/out: is a symbolic link that leads out of the folder",
                                    "! s/x.yaml: is a symbolic link that leads out of the folder",
                                    "! s/y.yaml: cannot be read: No such file or directory"});
    // The folder itself may be reached by one.
    fs::create_directory_symlink("out", here / "link");
    CHECK(here.seen({"link"}) == names{"link/x.yaml"});
}

TEST_CASE("a folder without a document, or a file that is too large, is an error") {
    const scratch here;
    here.write("s/a.yaml", "# nothing\n---\n");
    const auto folder = (here / "s").string();
    auto got = spec::load({folder}, {});
    REQUIRE(got.problems.size() == 1);
    CHECK(spec::to_string(got.problems[0]) == folder + ": there is no document at all");
    here.write("s/a.yaml", "# " + std::string(1024 * 1024, 'x'));
    got = spec::load({folder}, {});
    REQUIRE(got.problems.size() == 1);
    CHECK(spec::to_string(got.problems[0]) == folder + "/a.yaml: larger than 1048576 bytes");
    CHECK(spec::load(std::vector<spec::spec_file>{}, "git", {}).problems.size() == 1);
    CHECK(spec::load(std::vector<std::string>{}, {}).problems.size() == 1);
}

TEST_CASE("a folder that is named twice is read once") {
    const scratch here;
    here.write("s/a.yaml", "x: 1\n");
    CHECK(here.seen({"s", "s"}) == names{"s/a.yaml"});
}

TEST_CASE("the source has one name, however it is spelt, and no other source has it") {
    const scratch here;
    here.write("s/a.yaml", "x: 1\n");
    here.write("t/s/a.yaml", "x: 1\n");
    const auto top = (here / "").parent_path().string();
    CHECK(spec::source_name({top + "/./s/"}) == top + "/s");
    CHECK(spec::source_name({top + "/t/../s", top + "/s/"}) == top + "/s");
    CHECK(spec::source_name({top + "/t/s", top + "/s"}) == top + "/s," + top + "/t/s");
    CHECK(spec::source_name({"/"}) == "/");
    CHECK(spec::source_name({""}).empty());
    const auto before = fs::current_path();
    fs::current_path(top);
    CHECK(spec::source_name({"s"}) == top + "/s");
    fs::current_path(before);
    spec::load_options named;
    named.source = "raxx";
    CHECK(spec::load({top + "/s"}, named).desired.source == "raxx");
}

TEST_CASE("a working tree's source is called after its origin, wherever it lies") {
    const scratch here;
    here.write("one/specs/a.yaml", "x: 1\n");
    here.write("one/.git/config", "[core]\n\turl = no\n[remote \"origin\"]\n\turl = git@github.com:raxx/infra.git\n");
    here.write("two/specs/a.yaml", "x: 1\n");
    here.write("two/.git", "gitdir: ../one/.git/worktrees/two\n");
    here.write("one/.git/worktrees/two/commondir", "../..\n");
    for (auto tree : {"one", "two"}) {
        const auto top = here / tree;
        CHECK(spec::source_name({(top / "specs").string()}) == "github.com/raxx/infra//specs");
        CHECK(spec::source_name({top.string()}) == "github.com/raxx/infra//.");
    }
    for (auto place : {"here", "there"}) {
        const auto top = here / (std::string{place} + "/infra");
        here.write(std::string{place} + "/infra/specs/a.yaml", "x: 1\n");
        here.write(std::string{place} + "/infra/.git/config", "[remote \"origin\"]\n\turl = ../bare.git\n");
        CHECK(spec::source_name({(top / "specs").string()}) == (here / place).string() + "/bare//specs");
    }
    here.write("three/.git/config", "[core]\n");
    here.write("three/specs/a.yaml", "x: 1\n");
    CHECK(spec::source_name({(here / "three/specs").string()}) == (here / "three/specs").string());
    here.write("four/.git", "no working tree\n");
    here.write("four/specs/a.yaml", "x: 1\n");
    CHECK(spec::source_name({(here / "four/specs").string()}) == (here / "four/specs").string());
    CHECK(spec::source_name_in("git@github.com:raxx/infra.git", "specs/") == "github.com/raxx/infra//specs");
    CHECK(spec::source_name_in("https://github.com/raxx/infra", "/a/../specs") == "github.com/raxx/infra//specs");
    CHECK(spec::source_name_in("https://github.com/raxx/infra", "") == "github.com/raxx/infra//.");
    CHECK(spec::source_name_in("../bare.git", "s") == (fs::current_path().parent_path() / "bare").string() + "//s");
    CHECK(spec::repository_name("https://user:token@github.com/raxx/infra.git/") == "github.com/raxx/infra");
    CHECK(spec::repository_name("ssh://git@github.com:22/raxx/infra") == "github.com:22/raxx/infra");
    CHECK(spec::repository_name("/srv/git/infra.git") == "/srv/git/infra");
}

} // namespace folder_test
