#include "recipes/cost/plan.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tests/recipes/cost/some_hardware.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

Job text_01() {
  auto job = test::small_job();
  job.model = test::minimax_text_01();
  job.device = DeviceKind::kCuda;
  job.layout = {.pp = 8, .dp = 32, .tp = 8, .ep = 32};
  job.train = {.steps = 1,
               .sequence_length = 8192,
               .batch = 2048,
               .micro_batch = 32,
               .precision = Precision::kBFloat16};
  return job;
}

Cluster round_cluster(int devices) {
  return {test::round_hardware(), devices};
}

}  // namespace

TEST_SUITE("recipes/cost") {
  TEST_CASE("tokens and utilisation follow from the step") {
    const auto job = text_01();
    const auto plan = make_plan(job, round_cluster(2048), {});
    CHECK(plan.tokens_per_step == 2048.0 * 8192);
    CHECK(plan.tokens_per_second == doctest::Approx(plan.tokens_per_step / plan.step_seconds));
    CHECK(plan.mfu == doctest::Approx(plan.flops.total() * plan.tokens_per_second / 2048 / 100e12));
    CHECK(plan.mfu < 1);
    CHECK(plan.nodes == 256);
    CHECK(plan.world == 2048);
  }

  TEST_CASE("the parts of a step's time add up, the largest first") {
    const auto plan = make_plan(text_01(), round_cluster(2048), {});
    double sum = 0;
    for (const auto& share : plan.shares)
      sum += share.part;
    CHECK(sum == doctest::Approx(1));
    for (std::size_t i = 2; i < plan.shares.size(); ++i)
      CHECK(plan.shares[i - 1].part + 0.01 >= plan.shares[i].part);
  }

  TEST_CASE("every layer lies on one stage, and uneven routing fills ranks") {
    const auto plan = make_plan(text_01(), round_cluster(2048), {.imbalance = 1.5});
    std::int64_t lightning = 0, softmax = 0;
    for (const auto& stage : plan.stages) {
      lightning += stage.lightning_layers;
      softmax += stage.softmax_layers;
      CHECK(stage.fullest.total() > stage.mean.total());
    }
    CHECK(lightning == 70);
    CHECK(softmax == 10);
    CHECK(plan.stages.front().has_embedding);
    CHECK(plan.stages.back().has_head);
    CHECK(plan.fullest_bytes() > plan.mean_bytes());
  }

  TEST_CASE("more ranks than devices are refused with the dp that fits") {
    const auto problems = cluster_problems(text_01(), round_cluster(1024));
    REQUIRE(problems.size() == 1);
    CHECK(problems.front().code == "E0291");
    CHECK(problems.front().help == "layout.dp=16, or a cluster of 2048");
    CHECK(cluster_problems(text_01(), round_cluster(2048)).empty());
  }

  TEST_CASE("ranks may share the cores of a processor, and are slower for it") {
    auto job = test::small_job();
    auto cluster = round_cluster(2);
    cluster.hardware.device = DeviceKind::kCpu;
    job.layout.dp = 4;
    job.train.micro_batch = 8;
    CHECK(cluster_problems(job, cluster).empty());
    const double shared = make_plan(job, cluster, {}).step_seconds;
    cluster.devices = 4;
    CHECK(shared > 1.5 * make_plan(job, cluster, {}).step_seconds);
  }

  TEST_CASE("bfloat16 is refused where there is no such arithmetic") {
    auto cluster = round_cluster(2048);
    cluster.hardware.peak_bfloat16 = 0;
    const auto problems = cluster_problems(text_01(), cluster);
    REQUIRE(problems.size() == 1);
    CHECK(problems.front().code == "E0292");
  }

  TEST_CASE("what does not fit is refused with changes that do fit") {
    auto job = text_01();
    auto cluster = round_cluster(2048);
    cluster.hardware.memory = 40.0 * 1024 * 1024 * 1024;
    const auto plan = make_plan(job, cluster, {});
    REQUIRE(plan.fullest_bytes() > cluster.hardware.memory);
    const auto problems = memory_problems(job, cluster, plan);
    REQUIRE(problems.size() == 1);
    CHECK(problems.front().code == "E0293");
    const auto& help = problems.front().help;
    CAPTURE(help);
    REQUIRE(help.find("fits: memory.recompute=full") != std::string::npos);
    job.memory.recompute = Recompute::kFull;
    CHECK(memory_problems(job, cluster, make_plan(job, cluster, {})).empty());
  }

  TEST_CASE("where nothing is enough the nearest change is told") {
    auto cluster = round_cluster(2048);
    cluster.hardware.memory = 5.0 * 1024 * 1024 * 1024;
    const auto job = text_01();
    const auto problems = memory_problems(job, cluster, make_plan(job, cluster, {}));
    REQUIRE(problems.size() == 1);
    CHECK(problems.front().help.find("nearest: ") != std::string::npos);
  }
}

}  // namespace fulgur
