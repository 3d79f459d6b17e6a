#pragma once

#include <string>

namespace fulgur {

// docs/recipe_reference.md: every field with its type, range, default and meaning, and every error code.
std::string recipe_reference();

}  // namespace fulgur
