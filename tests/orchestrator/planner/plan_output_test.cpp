#include <doctest/doctest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <string>

#include "cluster/hardware/catalogue.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/planner/plan_json.hpp"
#include "orchestrator/planner/plan_svg.hpp"
#include "orchestrator/planner/plan_text.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

LoadedRecipe text_01() {
  LoadedRecipe recipe;
  auto& job = recipe.job;
  job = test::small_job();
  job.name = "text-01";
  job.device = DeviceKind::kCuda;
  job.model = test::minimax_text_01();
  job.layout = {.pp = 8, .dp = 32, .tp = 8, .ep = 32};
  job.train = {.steps = 1,
               .sequence_length = 8192,
               .batch = 2048,
               .micro_batch = 32,
               .precision = Precision::kBFloat16};
  job.pipeline.layers.assign(8, 10);
  job.experts.token_groups = kAutoTokenGroups;
  return recipe;
}

LoadedRecipe with_phases() {
  auto recipe = text_01();
  recipe.job.phases = {
      .from = {1 << 30, std::int64_t{1} << 31},
      .sequence_length = {0, 0},
      .batch = {4096, 0},
      .micro_batch = {0, 0},
      .learning_rate = {-1, 1e-4},
      .rope_base = {0, 0},
      .mix = {{}, {}},
      .mix_from = {{}, {}},
      .mix_over = {0, 0},
      .addition = {{}, {}},
      .addition_from = {0, 0},
      .layout = {
          .pp = {0, 0}, .dp = {0, 0}, .cp = {0, 0}, .tp = {0, 0}, .ep = {0, 0}, .etp = {0, 0}}};
  return recipe;
}

}  // namespace

TEST_SUITE("orchestrator/planner") {
  TEST_CASE("auto becomes a number of token groups in one place, and only auto") {
    const auto cluster = find_cluster("h800x2048");
    auto job = text_01().job;
    resolve_auto(job, cluster);
    CHECK(job.experts.token_groups > 1);
    CHECK(job.experts.token_groups <= 16);
    job.experts.token_groups = 3;
    resolve_auto(job, cluster);
    CHECK(job.experts.token_groups == 3);
    auto alone = test::small_job();
    alone.experts.token_groups = kAutoTokenGroups;
    resolve_auto(alone, find_cluster("cpu"));
    CHECK(alone.experts.token_groups == 1);
  }

  TEST_CASE("a plan says model, layout, speed, memory, limits, stages, picture and traffic") {
    const auto cluster = find_cluster("h800x2048");
    const auto text = plan_text(plan_phases(text_01(), cluster, {}), cluster);
    CHECK(contains(text, "456,089,655,296 parameters"));
    CHECK(contains(text, "pp=8,dp=32,tp=8,ep=32: 2048 ranks on 256 nodes"));
    CHECK(contains(text, "% of the peak (MFU)"));
    CHECK(contains(text, "fullest rank"));
    CHECK(contains(text, "experts in every layer"));
    CHECK(contains(text, "[ElllllllSll"));
    CHECK(contains(text, "ranks 1792-2047, nodes 224-255"));
    CHECK_FALSE(contains(text, "Further phases"));
  }

  TEST_CASE("layers are drawn on the stages that hold them") {
    auto job = text_01().job;
    CHECK(layer_letters(job, 0) == "ElllllllSll");
    CHECK(layer_letters(job, 7) == "lSlllllllSH");
    job.layout.pp = 2;
    job.pipeline = {.schedule = PipelineSchedule::kInterleaved,
                    .virtual_stages = 2,
                    .layers = {20, 20, 20, 20}};
    CHECK(layer_letters(job, 1).find(' ') == 20);
  }

  TEST_CASE("only phases with other steps are planned, and each is") {
    const auto phases = plan_phases(with_phases(), find_cluster("h800x2048"), {});
    REQUIRE(phases.size() == 2);
    CHECK(phases[1].from_tokens == 1 << 30);
    CHECK(phases[1].plan.tokens_per_step == 2 * phases[0].plan.tokens_per_step);
    CHECK(phases[1].plan.bubble < phases[0].plan.bubble);
  }

  TEST_CASE("a phase that does not fit is refused by its number") {
    auto recipe = with_phases();
    recipe.job.phases.sequence_length[1] = 131072;
    try {
      plan_phases(recipe, find_cluster("h800x2048"), {});
      FAIL("it was planned");
    } catch (const RecipeError& error) {
      REQUIRE(error.diagnostics().size() == 1);
      CHECK(error.diagnostics().front().code == "E0293");
      CHECK(contains(error.diagnostics().front().message, "in phase 1"));
    }
  }

  TEST_CASE("JSON has the figures of every phase and stage") {
    const auto cluster = find_cluster("h800x2048");
    const auto phases = plan_phases(with_phases(), cluster, {});
    const auto whole = boost::json::parse(plan_json(phases, cluster)).as_object();
    CHECK(whole.at("world").to_number<int>() == 2048);
    const auto& second = whole.at("phases").as_array().at(1).as_object();
    CHECK(second.at("mfu").to_number<double>() == doctest::Approx(phases[1].plan.mfu));
    const auto& stages = second.at("stages").as_array();
    REQUIRE(stages.size() == 8);
    CHECK(stages[0].at("fullest_bytes").at("total").to_number<double>() ==
          doctest::Approx(phases[1].plan.stages[0].fullest.total()));
    CHECK(stages[0].at("seconds").at("traffic").at("ep").at("network_bytes").to_number<double>() >
          0);
  }

  TEST_CASE("the SVG has a box for every layer") {
    const auto cluster = find_cluster("h800x2048");
    const auto svg = plan_svg(plan_phases(text_01(), cluster, {}).front(), cluster);
    const auto count = [&](const std::string& part) {
      int found = 0;
      for (auto at = svg.find(part); at != std::string::npos; at = svg.find(part, at + 1))
        ++found;
      return found;
    };
    CHECK(count("<title>l</title>") == 70);
    CHECK(count("<title>S</title>") == 10);
    CHECK(count("<title>weights</title>") == 9);  // a stage each, and the legend
    CHECK(svg.starts_with("<svg "));
    CHECK(svg.ends_with("</svg>\n"));
  }

  TEST_CASE("a cluster that there is not is wrong usage") {
    CHECK_THROWS_AS(cluster_for(test::small_job(), "h80"), UsageError);
    CHECK(cluster_for(text_01().job, "").hardware.name == "h200");
    CHECK(cluster_for(test::small_job(), "").hardware.name == "cpu");
  }
}

}  // namespace fulgur
