#include "recipes/dsl/data_files.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/recipes/recipe_files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    fs::create_directories(path / "sub");
    for (const auto* name : {"b", "a", "a.dat", "sub/c"})
      test::write_file(path / name, "text");
    test::write_file(path / "empty", "");
  }
  // Names of the files found, relative to the folder.
  std::vector<std::string> find(const std::vector<std::string>& patterns,
                                const std::vector<std::string>& exclude = {}) {
    std::vector<FilePattern> from;
    from.reserve(patterns.size());
    for (const auto& pattern : patterns)
      from.push_back({pattern, path, {.source = "r.yaml", .line = 3}});
    Problems found;
    std::vector<std::string> names;
    for (const auto& file : find_data_files(from, exclude, found))
      names.push_back(fs::relative(file, path).string());
    problems = found.take();
    return names;
  }

  test::TemporaryDirectory directory;
  fs::path path = fs::canonical(directory.path());
  std::vector<Diagnostic> problems;
};

using Names = std::vector<std::string>;

TEST_SUITE("recipes/dsl/data_files") {
  TEST_CASE("the files of all patterns come sorted, each once, without directories") {
    Folder folder;
    CHECK(folder.find({"b", "[ab]*", "sub/../a"}) == Names{"a", "a.dat", "b"});
    CHECK(folder.find({"*/c", "{b,a}"}) == Names{"a", "b", "sub/c"});
    CHECK(folder.problems.empty());
    CHECK(folder.find({"*"}, {"empty"}) == Names{"a", "a.dat", "b"});  // sub is passed over
    CHECK(folder.find({folder.path.string() + "/b"}) == Names{"b"});
    CHECK(folder.problems.empty());
  }

  TEST_CASE("exclusions compare names, and with a slash whole paths") {
    Folder folder;
    CHECK(folder.find({"a*", "sub/*"}, {"*.dat"}) == Names{"a", "sub/c"});
    CHECK(folder.problems.empty());
    CHECK(folder.find({"a*", "sub/*"}, {"*/sub/*"}) == Names{"a", "a.dat"});
    REQUIRE(folder.problems.size() == 1);
    CHECK(folder.problems[0].message == "every file of `sub/*` is excluded");
  }

  TEST_CASE("a folder whose name has special characters is taken literally") {
    Folder folder;
    const auto odd = folder.path / "odd [*]{x,y}\\";
    fs::create_directory(odd);
    test::write_file(odd / "f", "text");
    const std::vector<FilePattern> pattern = {{"*", odd, {}}};
    Problems problems;
    CHECK(find_data_files(pattern, {}, problems) == Names{(odd / "f").string()});
    CHECK(problems.size() == 0);
  }

  TEST_CASE("files that cannot be trained on are reported with the pattern's position") {
    Folder folder;
    folder.find({"empty", "nothing", "nothing*", "sub", "a.dat"}, {"*.dat"});
    REQUIRE(folder.problems.size() == 5);
    CHECK(folder.problems[0].message ==
          "data file " + (folder.path / "empty").string() + " is empty");
    CHECK(folder.problems[1].message ==
          "there is no data file " + (folder.path / "nothing").string());
    CHECK(folder.problems[2].message == "no file matches `nothing*`");
    CHECK(folder.problems[3].message ==
          "data file " + (folder.path / "sub").string() + " is a directory");
    CHECK(folder.problems[4].message == "every file of `a.dat` is excluded");
    for (const auto& problem : folder.problems) {
      REQUIRE(problem.positions.size() == 1);
      CHECK(problem.positions[0].line == 3);
    }
  }

  TEST_CASE("a link that leads nowhere and a device are no data") {
    Folder folder;
    fs::create_symlink(folder.path / "gone", folder.path / "link");
    CHECK(folder.find({"link", "/dev/null"}).size() == 2);
    REQUIRE(folder.problems.size() == 2);
    CHECK(folder.problems[0].message.ends_with("there is no such file"));
    CHECK(folder.problems[1].message == "data file /dev/null is not a regular file");
  }
}

}  // namespace
}  // namespace fulgur
