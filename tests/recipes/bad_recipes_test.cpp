#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <string>

#include "recipes/dsl/load.hpp"
#include "tests/recipes/recipe_files.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

fs::path bad_recipes() {
  return test::source_directory() / "tests" / "recipes" / "bad";
}

// What the recipe is refused with, without this machine's paths.
std::string refusal(const fs::path& recipe) {
  std::string text;
  try {
    load_recipe(recipe);
    return "it was taken";
  } catch (const RecipeError& error) {
    text = error.what();
  }
  const auto folder = bad_recipes().string() + "/";
  for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder, at))
    text.erase(at, folder.size());
  return text;
}

// Every bad/x.yaml has beside it, in x.txt, the message that it must be refused with.
TEST_SUITE("recipes/bad") {
  TEST_CASE("every bad recipe is refused with the message that stands beside it") {
    int recipes = 0;
    for (const auto& entry : fs::directory_iterator(bad_recipes())) {
      if (entry.path().extension() != ".yaml") continue;
      ++recipes;
      INFO(entry.path().filename().string());
      auto expected = entry.path();
      expected.replace_extension(".txt");
      REQUIRE(fs::exists(expected));
      CHECK(refusal(entry.path()) == test::read_file(expected));
    }
    CHECK(recipes >= 150);
  }

  TEST_CASE("every error code but those of files that cannot be kept here has a bad recipe") {
    std::string all;
    for (const auto& entry : fs::directory_iterator(bad_recipes())) {
      if (entry.path().extension() == ".txt") all += test::read_file(entry.path());
    }
    const std::set<std::string_view> elsewhere = {"E0113", "E0123", "E0135", "E0255",
                                                  "E0291", "E0292", "E0293"};
    for (const auto& known : diagnostic_codes()) {
      const auto code = known.code;
      CAPTURE(code);
      const bool shown = all.find("error[" + std::string(code) + "]") != std::string::npos;
      CHECK(shown != elsewhere.contains(code));
    }
  }
}

}  // namespace
}  // namespace fulgur
