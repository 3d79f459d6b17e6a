#include "orchestrator/sweep/candidates.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "orchestrator/planner/phase_plans.hpp"
#include "orchestrator/sweep/trials.hpp"
#include "tests/recipes/dsl/recipe_folder.hpp"

namespace fulgur {
namespace {

SweepPlan plan(const test::RecipeFolder& folder, const std::vector<std::string>& arguments) {
  return plan_sweep(folder.path, arguments, "", {}, DataFiles::kLeave);
}

const Rejection* rejection(const SweepPlan& plan, std::string_view reason) {
  const auto found = std::find_if(plan.rejected.begin(), plan.rejected.end(),
                                  [&](const Rejection& each) { return each.reason == reason; });
  return found == plan.rejected.end() ? nullptr : &*found;
}

std::int64_t refused(const SweepPlan& plan) {
  std::int64_t sum = 0;
  for (const auto& each : plan.rejected)
    sum += each.count;
  return sum;
}

TEST_SUITE("orchestrator/sweep/candidates") {
  TEST_CASE("every legal layout is planned, the fastest first, and every other has its rule") {
    const test::RecipeFolder folder;
    const auto found = plan(folder, {"sweep.layout=auto", "sweep.slower=1000", "layout.dp=8"});
    CHECK(found.combinations ==
          static_cast<std::int64_t>(found.candidates.size()) + refused(found));
    REQUIRE(found.candidates.size() > 10);
    for (std::size_t i = 1; i < found.candidates.size(); ++i)
      CHECK(found.candidates[i - 1].tokens_per_rank() >= found.candidates[i].tokens_per_rank());
    for (const auto& each : found.candidates) {
      CAPTURE(to_string(each.arguments));
      CHECK(each.world() == 8);
      CHECK(violations(each.job).empty());
      // The arguments make the same job of the recipe, and its plan is the one of `fulgur plan`.
      auto arguments = each.arguments;
      arguments.insert(arguments.begin(), "layout.dp=8");
      auto job = folder.load(arguments).job;
      job.data = each.job.data;
      const auto cluster = cluster_for(job, "");
      resolve_auto(job, cluster);
      CHECK(job == each.job);
      const auto planned = make_plan(job, cluster, {});
      CHECK(planned.step_seconds == each.step_seconds);
      CHECK(planned.fullest_bytes() == each.memory);
    }
    // The model has four heads, four experts and four layers.
    REQUIRE(rejection(found, "E0263"));
    CHECK(rejection(found, "E0263")->example.find("layout.tp=8") != std::string::npos);
    CHECK(rejection(found, "E0266"));
    CHECK(rejection(found, "E0273"));
  }

  TEST_CASE("axes are combined, zips walked together, exclusions and conditions obeyed") {
    const test::RecipeFolder folder(test::kGoodRecipe + R"(
sweep:
  axes: {train.micro_batch: [4, 8], train.seed: [1, 2]}
  zip: {layout.tp: [1, 2, 3], layout.dp: [2, 1, 1]}
  exclude: [{layout.tp: 2, train.micro_batch: 4}]
  where: [train.seed < 2, predicted.memory < 1GiB]
  slower: 1000
)");
    const auto found = plan(folder, {});
    CHECK(found.combinations == 12);
    CHECK(rejection(found, "E0263")->count == 4);  // tp 3 and four heads
    CHECK(rejection(found, "excluded")->count == 2);
    CHECK(rejection(found, "where train.seed < 2")->count == 3);
    CHECK(found.candidates.size() == 3);
    const auto none = plan(folder, {"sweep.where=[predicted.memory < 1kB]"});
    CHECK(none.candidates.empty());
  }

  TEST_CASE("what is predicted to be much slower than the best is not run") {
    const test::RecipeFolder folder;
    const std::vector<std::string> all = {"sweep.layout=auto", "layout.dp=4", "sweep.slower=1000"};
    const std::vector<std::string> few = {"sweep.layout=auto", "layout.dp=4", "sweep.slower=1.2"};
    const auto wide = plan(folder, all), narrow = plan(folder, few);
    REQUIRE(narrow.candidates.size() < wide.candidates.size());
    CHECK(static_cast<std::size_t>(rejection(narrow, "slower")->count) ==
          wide.candidates.size() - narrow.candidates.size());
    CHECK(narrow.candidates.back().tokens_per_rank() * 1.2 >=
          narrow.candidates.front().tokens_per_rank());
  }

  TEST_CASE("a condition that is no truth value, and a recipe without a sweep, are refused") {
    const test::RecipeFolder folder;
    CHECK_THROWS_WITH_AS(plan(folder, {"sweep.where=[layout.tp + 1]"}), doctest::Contains("E0117"),
                         RecipeError);
    CHECK_THROWS_WITH_AS(plan(folder, {}), doctest::Contains("E0135"), RecipeError);
  }

  TEST_CASE("a trial runs its steps and saves nothing, in a folder of its own") {
    const test::RecipeFolder folder;
    const auto found = plan(folder, {"sweep.layout=auto", "layout.dp=2"});
    SweepSection sweep;
    sweep.steps = 7;
    REQUIRE(found.candidates.size() >= 2);
    const auto a = trial_job(found.candidates[0], sweep, "x-sweep");
    const auto b = trial_job(found.candidates[1], sweep, "x-sweep");
    CHECK(a.train.steps == 7);
    CHECK(a.checkpoint.every == 0);
    CHECK(a.run_directory.starts_with("x-sweep/trials/"));
    CHECK(a.run_directory != b.run_directory);
    CHECK(a == trial_job(found.candidates[0], sweep, "x-sweep"));
  }
}

}  // namespace
}  // namespace fulgur
