#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/diagnostic.hpp"
#include "recipes/job.hpp"
#include "recipes/rules/rules.hpp"

namespace fulgur {

// Where every field that was given stands, by its dotted name; elements of a list as "data.files[0]",
// mappings as "model". What is missing here has its default or was derived.
using Positions = std::map<std::string, Position, std::less<>>;

struct LoadedRecipe {
  Job job;
  Positions positions;
};

inline constexpr std::size_t kMaxRecipeBytes = std::size_t{1} << 20;

// Reads a recipe and makes a Job of it: overrides ("train.steps=20", later ones win) over the file over
// derived values over defaults. Lists and mappings in overrides are YAML in brackets:
// "data.files=[a.txt, b.txt]". The patterns in data.files become the absolute paths of the files.
//
// Throws RecipeError with everything that is wrong, rules between fields included. A recipe that loads
// can be run: every rule is kept, and each data file could be opened and is not empty.
LoadedRecipe load_recipe(const std::filesystem::path& path,
                         const std::vector<std::string>& overrides = {});

// Gives violations the positions of the fields that they name.
std::vector<Diagnostic> to_diagnostics(const std::vector<Violation>& broken,
                                       const Positions& positions);

}  // namespace fulgur
