#include "recipes/dsl/overrides.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tests/recipes/dsl/recipe_folder.hpp"

namespace fulgur {
namespace {

using Folder = test::RecipeFolder;

TEST_SUITE("recipes/dsl/overrides") {
  TEST_CASE("a plain assignment sets what the recipe gives and what it does not") {
    const Folder folder;
    const auto job = folder.load({"train.steps=7", "layout.dp=2", "++layout.dp=4"}).job;
    CHECK(job.train.steps == 7);
    CHECK(job.layout.dp == 4);
  }

  TEST_CASE("+ adds what the recipe does not give, and only that") {
    const Folder folder;
    CHECK(folder.load({"+layout.dp=2"}).job.layout.dp == 2);
    const auto problems = folder.problems({"+train.steps=3"});
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].code == "E0123");
    CHECK(problems[0].positions.size() == 2);
    CHECK(folder.codes({"+layout.dp=2", "+layout.dp=4"}) == "E0123");
  }

  TEST_CASE("~ takes away what the recipe gives, so that the default counts") {
    const Folder folder(test::kGoodRecipe + "layout: {dp: 2, tp: 2}\n");
    CHECK(folder.load({"~layout.dp"}).job.layout.dp == 1);
    CHECK(folder.load({"~layout.dp"}).job.layout.tp == 2);
    CHECK(folder.load({"~layout"}).job.layout == Layout{});
    CHECK(folder.load({"~layout.dp=2"}).job.layout.dp == 1);
    CHECK(folder.codes({"~layout.dp=3"}) == "E0123");
    CHECK(folder.codes({"~layout.cp"}) == "E0123");
    CHECK(folder.codes({"~layout.dp", "~layout.dp"}) == "E0123");
    CHECK(folder.codes({"~train.steps"}) == "E0108");
    CHECK(folder.codes({"~layout.ddp"}) == "E0107");
    CHECK(folder.load({"~layout.dp", "layout.dp=8"}).job.layout.dp == 8);
  }

  TEST_CASE("what is no override is refused") {
    const Folder folder;
    for (const auto* text : {"", "=", "=3", "train.steps", "+train.steps", "++=3", "~", "+"})
      CHECK(folder.codes({text}) == "E0113");
    CHECK(folder.codes({"extends=x.yaml"}) == "E0113");
    CHECK(folder.codes({"model=3"}) == "E0109");
    CHECK(folder.codes({"vars.a=3"}) == "E0125");
    CHECK(folder.codes({"vars.a.b=3"}) == "E0107");
    CHECK(folder.codes({"--x=3"}) == "E0107");
  }
}

}  // namespace
}  // namespace fulgur
