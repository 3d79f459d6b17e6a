#pragma once

#include <optional>
#include <string>

#include "recipes/fields.hpp"
#include "recipes/job.hpp"

namespace fulgur {

// A Job as a recipe that gives every field, in the order of the declarations, one to a line, with what a
// resume may do to it behind: "steps: 480  # free". Equal Jobs have equal texts, and the text loads as the
// same Job. With a category only its fields.
std::string to_recipe(const Job& job, std::optional<Category> only = std::nullopt);

// "fixed", "layout" or "free".
std::string_view resume_text(Category category);

// "an integer", "one of `auto`, `cpu`".
std::string type_text(const Field& field);

}  // namespace fulgur
