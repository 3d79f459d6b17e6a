#pragma once

#include <filesystem>
#include <string>

namespace fulgur {

// The text of a recipe file. Throws RecipeError (E0101) when it cannot be read, is larger than
// kMaxRecipeBytes, or is not UTF-8 without control characters.
std::string read_recipe_text(const std::filesystem::path& path);

}  // namespace fulgur
