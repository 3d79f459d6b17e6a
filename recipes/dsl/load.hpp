#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/diagnostic.hpp"
#include "recipes/dsl/sweep_section.hpp"
#include "recipes/job.hpp"
#include "recipes/rules/rules.hpp"

namespace fulgur {

// Where every field that was given stands, by its dotted name; elements of a list as "data.files[0]",
// mappings as "model". What is missing here has its default or was derived.
using Positions = std::map<std::string, Position, std::less<>>;

// For a field or variable ("vars.width") that is an expression, the names in it.
using References = std::map<std::string, std::vector<std::string>, std::less<>>;

// One place that sets a field.
struct Setting {
  Position position;
  std::string value;  // as it is written there; shortened when it is long
};

// Everybody who sets a field, the one that counts first.
using Settings = std::map<std::string, std::vector<Setting>, std::less<>>;

// Where the values of a recipe come from.
struct Provenance {
  Positions positions;
  References references;
  Settings settings;
};

// An environment variable that a recipe reads.
struct EnvironmentUse {
  std::string name;
  std::string value;
  bool set = false;  // false: the value is the recipe's fallback
  Position position;
};

struct LoadedRecipe {
  Job job;
  Provenance provenance;
  std::vector<EnvironmentUse> environment;
  std::optional<SweepSection> sweep = {};
};

// Whether the files to train on are looked for. Left alone, data.files has the patterns as they are written,
// for those who only want to know what a recipe says.
enum class DataFiles { kFind, kLeave };

inline constexpr std::size_t kMaxRecipeBytes = std::size_t{1} << 20;

// Reads a recipe and makes a Job of it: overrides (recipes/dsl/overrides.hpp) over the file over the
// recipes that it extends (recipes/dsl/layers.hpp) over derived values over defaults; expressions
// (recipes/dsl/expression.hpp) see the values that count in the end. The patterns in data.files, relative
// to the file that gives them, become the absolute paths of the files.
//
// Throws RecipeError with everything that is wrong, rules between fields included. A recipe that loads
// can be run: every rule is kept, and each data file could be opened and is not empty.
LoadedRecipe load_recipe(const std::filesystem::path& path,
                         const std::vector<std::string>& overrides = {},
                         DataFiles data = DataFiles::kFind);

// Gives violations the positions of the fields that they name, and of what expressions refer to there.
std::vector<Diagnostic> to_diagnostics(const std::vector<Violation>& broken,
                                       const Provenance& provenance);

}  // namespace fulgur
