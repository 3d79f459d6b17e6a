#include "recipes/dsl/format.hpp"

#include <doctest/doctest.h>

#include <string>

#include "recipes/diagnostic.hpp"
#include "tests/recipes/recipe_files.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

std::string formatted(const std::string& text) {
  return formatted_recipe(text, "r.yaml");
}

TEST_SUITE("recipes/dsl/format") {
  TEST_CASE("levels are two blanks deep, and one blank stands behind a colon") {
    CHECK(
        formatted("\n\nname:   x  \r\nmodel:\n     layers:  4\n     heads: 2\ntrain:\n steps: 1") ==
        "name: x\nmodel:\n  layers: 4\n  heads: 2\ntrain:\n  steps: 1\n");
    CHECK(formatted("a:\n    b:\n        c:    d\n        e: f\n") ==
          "a:\n  b:\n    c: d\n    e: f\n");
  }

  TEST_CASE("empty lines shrink to one, and there is none at the ends") {
    CHECK(formatted("\n\na: 1\n\n\n\nb: 2\n\n\n") == "a: 1\n\nb: 2\n");
  }

  TEST_CASE("comments stay, lined up with what follows, and behind a value where they stood") {
    CHECK(formatted("# top\na:\n# about b\n     b: 1     # why\n     # about c\n     c: 22\n") ==
          "# top\na:\n  # about b\n  b: 1        # why\n  # about c\n  c: 22\n");
    CHECK(formatted("a: 1 # x\n") == "a: 1  # x\n");
    CHECK(formatted("a: 'x # y'   # z\n") == "a: 'x # y'   # z\n");
  }

  TEST_CASE("what stands in brackets, and texts over several lines, move as a whole") {
    CHECK(formatted("a:\n    b: [1,\n        2]\n    c: {x: 1,   y: 2}\n") ==
          "a:\n  b: [1,\n      2]\n  c: {x: 1,   y: 2}\n");
    CHECK(formatted("a:\n    b: |\n        x  \n\n\n          # y\n    c: 1\n") ==
          "a:\n  b: |\n      x  \n\n\n        # y\n  c: 1\n");
    CHECK(formatted("a:\n    b: \"x\n       y\"\n    c: 1\n") ==
          "a:\n  b: \"x\n     y\"\n  c: 1\n");
  }

  TEST_CASE("an element that is not there is no harm") {
    CHECK(formatted("- \n") == "-\n");
    CHECK(formatted("a:\n- 1\n-") == "a:\n  - 1\n  -\n");
  }

  TEST_CASE("lists with a line for each element") {
    CHECK(formatted("a:\n- 1\n- 2\nb:\n    - c: 1\n      d: 2\n") ==
          "a:\n  - 1\n  - 2\nb:\n  - c: 1\n    d: 2\n");
  }

  TEST_CASE("the shipped recipes are formatted") {
    const auto recipes = test::source_directory() / "recipes";
    int count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(recipes)) {
      if (entry.path().extension() != ".yaml") continue;
      ++count;
      CAPTURE(entry.path().string());
      const auto text = test::read_file(entry.path());
      CHECK(formatted(text) == text);
    }
    CHECK(count >= 3);
  }

  // formatted_recipe itself refuses to change what a text says.
  TEST_CASE("every recipe of the tests can be formatted, and a second time changes nothing") {
    const auto bad = test::source_directory() / "tests" / "recipes" / "bad";
    int count = 0;
    for (const auto& entry : fs::directory_iterator(bad)) {
      if (entry.path().extension() != ".yaml") continue;
      CAPTURE(entry.path().string());
      std::string once;
      try {
        once = formatted(test::read_file(entry.path()));
      } catch (const RecipeError& error) {
        CHECK(std::string(error.what()).find("would not say the same") == std::string::npos);
        continue;  // it is not YAML
      }
      ++count;
      CHECK(formatted(once) == once);
    }
    CHECK(count >= 50);
  }
}

}  // namespace
}  // namespace fulgur
