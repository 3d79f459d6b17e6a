#pragma once

#include <string>
#include <string_view>

namespace fulgur {

// A recipe in the one layout that recipes have: two blanks for each level, one behind a colon, none at the
// end of a line, at most one empty line in a row, comments kept and lined up with what follows them. The
// values stay as they are written. Formatting a formatted recipe changes nothing.
//
// Throws RecipeError for a text that is not YAML, and when the result would not say the same (E0102).
std::string formatted_recipe(const std::string& text, std::string_view source);

}  // namespace fulgur
