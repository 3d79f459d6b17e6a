#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <string>

#include "cluster/hardware/catalogue.hpp"
#include "orchestrator/planner/phase_plans.hpp"
#include "orchestrator/sweep/candidates.hpp"
#include "recipes/layout.hpp"
#include "recipes/parameters.hpp"
#include "recipes/phases.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

const fs::path kRecipes = fs::path(FULGUR_SOURCE_DIR) / "recipes";

struct Shipped {
  const char* recipe;
  const char* cluster;
};

constexpr Shipped kShipped[] = {
    {"quickstart.yaml", "cpu"},
    {"quickstart-gpu.yaml", "h200x1"},
    {"bench/cpu-small.yaml", "cpu"},
    {"bench/h200-2.9b.yaml", "h200x1"},
    {"h200/x1.yaml", "h200x1"},
    {"h200/x2.yaml", "h200x2"},
    {"h200/x8.yaml", "h200x8"},
    {"ablation-1b-8b/pretrain.yaml", "h200x8"},
    {"minimax-text-01/pretrain.yaml", "h800x2048"},
    {"minimax-text-01/extend.yaml", "h800x2048"},
    {"minimax-text-01/sft.yaml", "h800x2048"},
    {"minimax-text-01/sft-long.yaml", "h800x2048"},
    {"quickstart-sweep.yaml", "cpu"},
    {"h200/sweep-x8.yaml", "h200x8"},
    {"ablation-1b-8b/sweep.yaml", "h200x8"},
    {"minimax-text-01/sweep.yaml", "h800x2048"},
};

LoadedRecipe load(const std::string& name) {
  return load_recipe(kRecipes / name, {}, DataFiles::kLeave);
}

}  // namespace

TEST_SUITE("orchestrator/planner") {
  TEST_CASE("every shipped recipe keeps the rules, fits its cluster and uses all of it") {
    for (const auto& each : kShipped) {
      CAPTURE(each.recipe);
      const auto recipe = load(each.recipe);
      const auto cluster = find_cluster(each.cluster);
      for (const auto& phase : plan_phases(recipe, cluster, {})) {
        CHECK(phase.plan.fullest_bytes() < cluster.hardware.memory);
        CHECK(phase.plan.mfu > 0);
        CHECK(phase.plan.mfu < 1);
        if (cluster.hardware.device == DeviceKind::kCuda)
          CHECK(phase.plan.world == cluster.devices);
      }
    }
  }

  TEST_CASE("every shipped sweep finds layouts that can run, and every other has its reason") {
    int sweeps = 0;
    for (const auto& each : kShipped) {
      if (!load(each.recipe).sweep) continue;
      CAPTURE(each.recipe);
      ++sweeps;
      const auto plan = plan_sweep(kRecipes / each.recipe, {}, each.cluster, {}, DataFiles::kLeave);
      CHECK(static_cast<std::int64_t>(plan.candidates.size()) >= plan.section.best);
      auto left = plan.combinations - static_cast<std::int64_t>(plan.candidates.size());
      for (const auto& rejection : plan.rejected)
        left -= rejection.count;
      CHECK(left == 0);
    }
    CHECK(sweeps == 4);
  }

  TEST_CASE("the extension has the paper's tokens, rotary bases and mixes") {
    const auto job = load("minimax-text-01/extend.yaml").job;
    const auto at = [&](double tokens) {
      const auto step = static_cast<std::int64_t>(tokens) / (std::int64_t{16} << 20) + 1;
      return job_of_step(job, step);
    };
    CHECK(at(100e9).train.sequence_length == 131072);
    CHECK(at(310e9).train.sequence_length == 524288);
    CHECK(at(350e9).train.sequence_length == 1048576);
    CHECK(at(100e9).model.rope_base == 5e6);
    CHECK(at(310e9).model.rope_base == 1e7);
    CHECK(at(350e9).model.rope_base == 1e7);
    CHECK(static_cast<double>(tokens_of_steps(job, job.train.steps)) ==
          doctest::Approx(358e9).epsilon(0.001));
  }

  TEST_CASE("no shipped recipe is left out, but for what others extend") {
    std::set<std::string> listed;
    for (const auto& each : kShipped)
      listed.insert(each.recipe);
    for (const auto& entry : fs::recursive_directory_iterator(kRecipes)) {
      if (entry.path().extension() != ".yaml" || entry.path().filename() == "model.yaml") continue;
      const auto name = fs::relative(entry.path(), kRecipes).string();
      CAPTURE(name);
      CHECK(listed.contains(name));
    }
  }

  TEST_CASE("the recipes of MiniMax-Text-01 have its parameters, on 1500 to 2500 devices") {
    for (const auto& each : kShipped) {
      if (!std::string(each.recipe).starts_with("minimax-text-01/")) continue;
      CAPTURE(each.recipe);
      const auto job = load(each.recipe).job;
      CHECK(total_parameters(job.model) == 456'089'655'296);
      const int world = world_size(job.layout);
      CHECK(world >= 1500);
      CHECK(world <= 2500);
      CHECK(job.layout.pp * edp(job.layout) * job.layout.ep * job.layout.etp == world);
    }
  }

  TEST_CASE("auto takes the token groups with which a step is the shortest, or nearly so") {
    for (const auto& each : kShipped) {
      auto recipe = load(each.recipe);
      if (recipe.job.experts.token_groups != kAutoTokenGroups) continue;
      CAPTURE(each.recipe);
      const auto cluster = find_cluster(each.cluster);
      const auto seconds = [&](std::int64_t groups) {
        recipe.job.experts.token_groups = groups;
        return plan_without_checks(recipe.job, cluster, {}).front().plan.step_seconds;
      };
      const double chosen = seconds(kAutoTokenGroups);
      for (const std::int64_t groups : {1, 2, 4, 8, 16, 32}) {
        CAPTURE(groups);
        CHECK(chosen <= 1.02 * seconds(groups));
      }
    }
  }

  TEST_CASE("the ablation has some 8 billion parameters, 1 billion of them active") {
    const auto model = load("ablation-1b-8b/pretrain.yaml").job.model;
    CHECK(static_cast<double>(total_parameters(model)) == doctest::Approx(8e9).epsilon(0.1));
    CHECK(static_cast<double>(active_parameters(model)) == doctest::Approx(1e9).epsilon(0.1));
  }
}

}  // namespace fulgur
