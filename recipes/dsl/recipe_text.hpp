#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace fulgur {

// The text of a recipe file. Throws RecipeError (E0101) when it cannot be read, is larger than
// kMaxRecipeBytes, or is not UTF-8 without control characters.
std::string read_recipe_text(const std::filesystem::path& path);

// Why something is not UTF-8 text without control characters, with the line: "line 2 is not UTF-8 (byte
// 5)". Empty when it is.
std::string text_fault(std::string_view text);

}  // namespace fulgur
