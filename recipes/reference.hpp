#pragma once

#include <string>

#include "recipes/fields.hpp"

namespace fulgur {

// docs/recipe_reference.md: every field with its type, range, default and meaning, and every error code.
std::string recipe_reference();

// What may stand behind a number: "count", "tokens", "bytes", "time" or nothing.
std::string unit_text(Unit unit);

// "required", how it is derived, or the default in backquotes.
std::string default_text(const Field& field);

}  // namespace fulgur
