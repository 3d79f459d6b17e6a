#include "recipes/dsl/sweep_section.hpp"

#include <doctest/doctest.h>

#include "tests/recipes/dsl/recipe_folder.hpp"

namespace fulgur {
namespace {

using Folder = test::RecipeFolder;

const std::string kSweep = R"(sweep:
  axes:
    train.micro_batch: [4, 8]
    data.files: [[a.txt, "b, c.txt"], text.txt]
  zip:
    - {layout.tp: [1, 2], layout.dp: [2, 1]}
  layout: auto
  exclude:
    - {layout.tp: 2, train.micro_batch: 4}
  where: [layout.tp * layout.cp <= 4, predicted.memory < 1GiB]
  steps: 12
  warmup: 2
  best: 3
  slower: 1.5
)";

TEST_SUITE("recipes/dsl/sweep_section") {
  TEST_CASE("values of axes become arguments of the command line") {
    const auto sweep = Folder(test::kGoodRecipe + kSweep).load().sweep;
    REQUIRE(sweep);
    REQUIRE(sweep->axes.size() == 3);
    CHECK(sweep->axes[0].points[1] == SweepPoint{"train.micro_batch=8"});
    CHECK(sweep->axes[1].points[0] == SweepPoint{"data.files=[a.txt, 'b, c.txt']"});
    CHECK(sweep->axes[1].points[1] == SweepPoint{"data.files=text.txt"});
    CHECK(sweep->axes[2].fields == std::vector<std::string>{"layout.tp", "layout.dp"});
    CHECK(sweep->axes[2].points[1] == SweepPoint{"layout.tp=2", "layout.dp=1"});
    CHECK(sweep->layouts);
    REQUIRE(sweep->exclude.size() == 1);
    CHECK(sweep->exclude[0].values[1].text == "4");
    CHECK(sweep->where[0].text == "layout.tp * layout.cp <= 4");
    CHECK(sweep->steps == 12);
    CHECK(sweep->warmup == 2);
    CHECK(sweep->best == 3);
    CHECK(sweep->slower == 1.5);
  }

  TEST_CASE("a recipe without the section has none, and the command line can give it one") {
    const Folder folder;
    CHECK_FALSE(folder.load().sweep);
    const auto sweep = folder.load({"sweep.layout=auto", "sweep.best=2"}).sweep;
    REQUIRE(sweep);
    CHECK(sweep->layouts);
    CHECK(sweep->best == 2);
    CHECK(sweep->steps == SweepSection{}.steps);
    CHECK(folder.codes({"sweep.bets=2"}) == "E0107");
  }

  TEST_CASE("the section is no part of the job") {
    CHECK(Folder(test::kGoodRecipe + kSweep).load().job.model == Folder().load().job.model);
  }
}

}  // namespace
}  // namespace fulgur
