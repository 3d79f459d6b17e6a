#include "recipes/reference.hpp"

#include <doctest/doctest.h>

#include "recipes/fields.hpp"
#include "tests/recipes/recipe_files.hpp"

namespace fulgur {
namespace {

TEST_SUITE("recipes/reference") {
  TEST_CASE("docs/recipe_reference.md says what the declarations say") {
    CHECK(test::read_file(test::source_directory() / "docs" / "recipe_reference.md") ==
          recipe_reference());
  }

  TEST_CASE("every field stands in the reference with its help") {
    const auto text = recipe_reference();
    for (const auto& field : fields()) {
      CAPTURE(field.name);
      CHECK(text.find(std::string(field.help) + " |") != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace fulgur
