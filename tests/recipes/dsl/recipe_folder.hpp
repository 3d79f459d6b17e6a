#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "recipes/dsl/load.hpp"
#include "tests/recipes/recipe_files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur::test {

// A folder with text.txt and a recipe that loads, changed by the tests.
struct RecipeFolder {
  explicit RecipeFolder(const std::string& recipe = kGoodRecipe) {
    write_file(directory.path() / "text.txt", "some text\n");
    write_file(path, recipe);
  }
  void add(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((directory.path() / name).parent_path());
    write_file(directory.path() / name, text);
  }
  LoadedRecipe load(const std::vector<std::string>& overrides = {}) const {
    return load_recipe(path, overrides);
  }
  std::vector<Diagnostic> problems(const std::vector<std::string>& overrides = {}) const {
    try {
      load(overrides);
    } catch (const RecipeError& error) {
      return error.diagnostics();
    }
    return {};
  }
  // The codes of what is wrong: "E0107 E0109"; empty when nothing is.
  std::string codes(const std::vector<std::string>& overrides = {}) const {
    std::string text;
    for (const auto& problem : problems(overrides))
      text += (text.empty() ? "" : " ") + problem.code;
    return text;
  }

  TemporaryDirectory directory;
  std::filesystem::path path = directory.path() / "recipe.yaml";
};

}  // namespace fulgur::test
