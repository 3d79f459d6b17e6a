#pragma once

#include <filesystem>

#include "recipes/dsl/yaml_tree.hpp"

namespace fulgur {

inline constexpr std::size_t kMaxRecipeDepth = 16;  // of recipes that extend one another
inline constexpr std::size_t kMaxRecipeFiles = 64;  // that make one recipe together

// Puts `over` on top of `base`: mappings are merged key by key, everything else is replaced, and the new
// value remembers what it replaced. An empty value leaves a mapping as it is.
YamlPointer merged(const YamlPointer& base, const YamlPointer& over);

// The value at a dotted name; nullptr when there is none.
YamlPointer find_value(const YamlPointer& root, std::string_view name);

// The mapping without the value at a dotted name, which must be there.
YamlPointer without_value(const YamlPointer& root, std::string_view name);

// The mapping of a recipe file with those that it extends below it: `extends: [base.yaml, ...]`, later
// ones over earlier ones, the file itself over all. Their paths are relative to the file that names them
// and may not lead out of the folder of the recipe at `path`, through links neither. Throws RecipeError
// (E0101 to E0106, E0109, E0121, E0122); all files together keep the limits of one.
YamlPointer read_layers(const std::filesystem::path& path);

}  // namespace fulgur
