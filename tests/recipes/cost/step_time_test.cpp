#include "recipes/cost/step_time.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "recipes/cost/flops.hpp"
#include "recipes/cost/stream_schedule.hpp"
#include "tests/recipes/cost/some_hardware.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

double most_bubble(const PipelineTimes& times) {
  return times.makespan - *std::min_element(times.busy.begin(), times.busy.end());
}

PipelineTimes at_unit_costs(const PipelineShape& shape) {
  const bool splits = shape.schedule == PipelineSchedule::kZeroBubble;
  const PassTimes pass{.forward = 1, .backward = splits ? 1.0 : 2.0, .weights = splits ? 1.0 : 0};
  const std::vector<std::vector<PassTimes>> passes(
      static_cast<std::size_t>(shape.stages),
      std::vector<PassTimes>(static_cast<std::size_t>(shape.virtual_stages), pass));
  return pipeline_times(shape, passes, 0);
}

Job text_01() {
  auto job = test::small_job();
  job.model = test::minimax_text_01();
  job.layout = {.pp = 8, .dp = 32, .tp = 8, .ep = 32};
  job.train = {.steps = 1,
               .sequence_length = 8192,
               .batch = 2048,
               .micro_batch = 32,
               .precision = Precision::kBFloat16};
  job.pipeline.layers.assign(8, 10);
  return job;
}

}  // namespace

TEST_SUITE("recipes/cost") {
  TEST_CASE("a task waits for its stream and for what it was told to") {
    StreamSchedule schedule(2);
    const int a = schedule.add(0, 3);
    const int after_a[] = {a};
    const int b = schedule.add(1, 1, after_a);
    schedule.add(0, 0.5);
    const int after_b[] = {-1, b};
    const int c = schedule.add(0, 1, after_b);
    CHECK(schedule.task(b).begin == 3);
    CHECK(schedule.task(c).begin == 4);
    CHECK(schedule.task(c).waited == 0.5);
    CHECK(schedule.task(c).waited_stream == 1);
    CHECK(schedule.free_at(0) == 5);
  }

  TEST_CASE("the bubble at unit costs is that of the schedules' papers") {
    for (const int p : {1, 2, 4, 8}) {
      for (const int m : {8, 16, 24}) {
        CAPTURE(p);
        CAPTURE(m);
        const auto once = at_unit_costs({.stages = p, .micro_batches = m});
        CHECK(most_bubble(once) == 3 * (p - 1));
        const auto split = at_unit_costs(
            {.schedule = PipelineSchedule::kZeroBubble, .stages = p, .micro_batches = m});
        CHECK(most_bubble(split) == p - 1);
        if (p == 1) continue;
        const auto rounds = at_unit_costs({.schedule = PipelineSchedule::kInterleaved,
                                           .stages = p,
                                           .virtual_stages = 2,
                                           .micro_batches = m});
        CHECK(most_bubble(rounds) == 3 * (p - 1));
      }
    }
  }

  TEST_CASE("messages delay the first forward and the last backward of a pipeline") {
    const PipelineShape shape{.stages = 4, .micro_batches = 1};
    const std::vector<std::vector<PassTimes>> passes(4, {{.forward = 1, .backward = 2}});
    CHECK(pipeline_times(shape, passes, 0).makespan == 12);
    CHECK(pipeline_times(shape, passes, 0.5).makespan == 15);  // three messages there, three back
    CHECK(pipeline_times(shape, passes, 0.5).begin[3] == 4.5);
  }

  TEST_CASE("where only products take time, a step takes the FLOPs over the peak") {
    auto job = text_01();
    job.layout = {};
    job.pipeline.layers = {};
    job.train.batch = job.train.micro_batch = 1;
    auto hardware = test::round_hardware();
    hardware.memory_bandwidth = 1e30;
    const auto step = step_time(job, {hardware, 1}, {.imbalance = 1});
    const auto& work = step.stages.front().work;
    const double peak = hardware.peak_bfloat16 / 8192;
    const auto flops = training_flops(job.model, 8192);
    CHECK(work[Part::kProducts] + work[Part::kExperts] ==
          doctest::Approx((flops.weights + flops.head) / peak).epsilon(1e-3));
    // Forward and 2.5 times that, where the count of FLOPs has three times.
    CHECK(work[Part::kSoftmax] == doctest::Approx(3.5 / 3 * flops.softmax / peak).epsilon(1e-3));
    CHECK(step.seconds == doctest::Approx(work.seconds()).epsilon(1e-3));
  }

  TEST_CASE("softmax attention costs what documents of the assumed length see") {
    auto job = text_01();
    job.layout = {};
    job.pipeline.layers = {};
    const Cluster cluster{test::round_hardware(), 1};
    const auto softmax = [&](std::int64_t document) {
      const auto step = step_time(job, cluster, {.imbalance = 1, .document = document});
      return step.stages.front().work[Part::kSoftmax];
    };
    CHECK(softmax(1023) == doctest::Approx(softmax(8192) * 1024 / 8193));
    CHECK(softmax(0) == softmax(8192));
    CHECK(softmax(1 << 20) == softmax(8192));
  }

  TEST_CASE("cores are dealt out to ranks, and a rank of several is slower than their sum") {
    auto hardware = test::round_hardware();
    hardware.device = DeviceKind::kCpu;
    hardware.core_scaling = 0.5;
    const Cluster machine{hardware, 8};
    const double peak = hardware.peak_float32;
    CHECK(shared_by(machine, 8).hardware.peak_float32 == peak);
    CHECK(shared_by(machine, 16).hardware.peak_float32 == peak / 2);
    CHECK(shared_by(machine, 16).hardware.memory == hardware.memory / 2);
    CHECK(shared_by(machine, 4).hardware.peak_float32 == 1.5 * peak);
    CHECK(shared_by(machine, 4).hardware.memory == 2 * hardware.memory);
    CHECK(shared_by(machine, 16).nodes() == 1);
    auto gpus = machine;
    gpus.hardware.device = DeviceKind::kCuda;
    CHECK(shared_by(gpus, 4).hardware.peak_float32 == peak);
  }

  TEST_CASE("full recomputation does every forward pass twice") {
    auto job = text_01();
    auto hardware = test::round_hardware();
    const Rates rates{hardware, job.train.precision};
    const auto shape = [&] { return rank_shape(job); };
    const ModelPiece middle{.first = 8, .last = 16, .has_embedding = false, .has_head = false};
    const auto kept = piece_time(job, shape(), middle, rates, 1);
    job.memory.recompute = Recompute::kFull;
    const auto again = piece_time(job, shape(), middle, rates, 1);
    const double twice = again.backward.seconds() - kept.backward.seconds();
    CHECK(again.forward.seconds() == kept.forward.seconds());
    CHECK(twice == doctest::Approx(kept.forward.seconds()).epsilon(0.02));
  }

  TEST_CASE("a split backward pass is as much work as a whole one") {
    auto job = text_01();
    const Rates rates{test::round_hardware(), job.train.precision};
    const ModelPiece middle{.first = 8, .last = 16, .has_embedding = false, .has_head = false};
    const auto whole = piece_time(job, rank_shape(job), middle, rates, 1);
    job.pipeline.schedule = PipelineSchedule::kZeroBubble;
    const auto split = piece_time(job, rank_shape(job), middle, rates, 1);
    const auto work = [](const PassTime& time) {
      return time[Part::kProducts] + time[Part::kExperts];
    };
    CHECK(work(split.backward) + work(split.weights) ==
          doctest::Approx(work(whole.backward)).epsilon(1e-6));
    CHECK(work(whole.weights) == 0);
  }

  TEST_CASE("all stages account for the whole step") {
    const auto step = step_time(text_01(), {test::round_hardware(), 2048}, {.imbalance = 1.2});
    for (const auto& stage : step.stages)
      CHECK(stage.seconds() == doctest::Approx(step.seconds));
    CHECK(step.bubble > 0);
    CHECK(step.bubble < 0.5);
  }

  TEST_CASE("slower links, uneven routing and fewer micro-batches make a step longer for a token") {
    const auto job = text_01();
    const Cluster cluster{test::round_hardware(), 2048};
    const double base = step_time(job, cluster, {.imbalance = 1}).seconds;
    CHECK(step_time(job, cluster, {.imbalance = 1.5}).seconds > base);
    auto slow = cluster;
    slow.hardware.network.bandwidth /= 4;
    CHECK(step_time(job, slow, {.imbalance = 1}).seconds > base);
    auto half = job;
    half.train.batch /= 2;
    CHECK(2 * step_time(half, cluster, {.imbalance = 1}).seconds > base);
  }

  TEST_CASE("traffic of a step is what the layers send, counted by hand") {
    const auto job = text_01();
    const auto step = step_time(job, {test::round_hardware(), 2048}, {.imbalance = 1});
    const auto& work = step.stages[3].work;  // ten layers, 64 micro-batches
    const double rows = 8192.0 * 6144 * 2;
    // A gather and a scatter of all rows, forward and backward; of seven in eight.
    CHECK(work.of(Group::kTp).node_bytes ==
          doctest::Approx(64 * 10 * 4 * rows * 7 / 8).epsilon(0.01));
    // Four exchanges of the rank's 1024 tokens, twice each: 7 of 32 on the node, 24 on the network.
    const double routed = 64 * 10 * 4 * 2 * rows / 8;
    CHECK(work.of(Group::kEp).node_bytes == doctest::Approx(routed * 7 / 32).epsilon(0.01));
    CHECK(work.of(Group::kEp).network_bytes == doctest::Approx(routed * 24 / 32).epsilon(0.01));
    // An eighth of the rows to a neighbour, 64 times each way.
    CHECK(work.of(Group::kPp).network_bytes == doctest::Approx(2 * 64 * rows / 8));
  }
}

}  // namespace fulgur
