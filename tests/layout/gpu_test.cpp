// The same job on GPUs, joined by NCCL, and on one processor.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/layout/small_job.hpp"

namespace fulgur {
namespace {

bool has_gpus(int count) {
  return num_cuda_devices() >= count && (count == 1 || has_nccl());
}

void check_on_gpus(const Job& job) {
  CAPTURE(to_string(job.layout));
  auto run = test::small_run(job);
  auto on_processor = job;
  on_processor.layout = {};
  on_processor.pipeline = {};
  const auto expected = test::run_layout(on_processor, run);
  run.device = Device::kCuda;
  test::check_equal(test::run_layout(job, run), expected);
}

// Everything that is added up over the model, in one vector.
std::vector<float> whole_gradient(const test::StepResult& result) {
  std::vector<float> all;
  for (const auto& [name, values] : result.gradients)
    all.insert(all.end(), values.begin(), values.end());
  return all;
}

// In bfloat16 a layout changes what is rounded where, and so now and then who a token's experts are:
// counts may differ, and single gradients a lot. What must stay is the loss of every step and, in the
// first one, the direction of the whole gradient. A part that is lost, doubled or not rounded alike on
// two ranks moves it by its own length.
void check_rounded_on_gpus(Job job) {
  CAPTURE(to_string(job.layout));
  auto run = test::small_run(job);
  auto exact = job;
  exact.layout = {};
  exact.pipeline = {};
  const auto expected = test::run_layout(exact, run);
  run.device = Device::kCuda;
  job.train.precision = Precision::kBFloat16;
  const auto got = test::run_layout(job, run);
  REQUIRE(got.size() == expected.size());
  for (std::size_t step = 0; step < got.size(); ++step) {
    CAPTURE(step);
    CHECK(got[step].loss == doctest::Approx(expected[step].loss).epsilon(2e-3));
    CHECK(got[step].norm == doctest::Approx(expected[step].norm).epsilon(0.05));
  }
  CHECK(test::relative_error(whole_gradient(got.front()), whole_gradient(expected.front())) <=
        0.05);
}

// Steps of a GPU with the layers as graphs and kernel by kernel: the same kernels, so the same bits.
void check_graphs(Job job) {
  CAPTURE(static_cast<int>(job.memory.recompute));
  CAPTURE(static_cast<int>(job.train.precision));
  auto run = test::small_run(job);
  run.device = Device::kCuda;
  job.train.cuda_graphs = CudaGraphs::kAuto;
  const auto graphs = test::run_layout(job, run);
  job.train.cuda_graphs = CudaGraphs::kNever;
  const auto kernels = test::run_layout(job, run);
  const auto micro_batches = job.train.batch / job.train.micro_batch;
  // All but the first time of both passes of a layer for each micro-batch and size of table.
  CHECK(graphs.back().graph_launches >= 2 * job.model.layers * micro_batches * (test::kSteps - 2));
  CHECK(kernels.back().graph_launches == 0);
  for (std::size_t step = 0; step < graphs.size(); ++step) {
    CAPTURE(step);
    CHECK(graphs[step].loss == kernels[step].loss);
    CHECK(graphs[step].aux_loss == kernels[step].aux_loss);
    CHECK(graphs[step].norm == kernels[step].norm);
    CHECK(graphs[step].routing.counts == kernels[step].routing.counts);
    CHECK(graphs[step].gradients == kernels[step].gradients);
  }
}

}  // namespace

TEST_SUITE("layout/gpu") {
  TEST_CASE("a GPU in bfloat16 gives what a processor gives up to rounding" *
            doctest::skip(!has_gpus(1))) {
    for (const auto recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
      auto job = test::small_job();
      job.memory.recompute = recompute;
      check_rounded_on_gpus(job);
    }
  }

  TEST_CASE("layers as graphs leave the same bits as kernel by kernel" *
            doctest::skip(!has_gpus(1))) {
    for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
      for (const auto recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
        auto job = test::small_job();
        job.train.precision = precision;
        job.memory.recompute = recompute;
        check_graphs(job);
      }
    }
  }

  TEST_CASE("two GPUs in bfloat16 on every axis do too" * doctest::skip(!has_gpus(2))) {
    for (const auto* layout : {"dp=2", "cp=2", "tp=2", "pp=2", "dp=2,ep=2", "cp=2,etp=2"}) {
      auto job = test::small_job();
      job.layout = parse_layout(layout);
      job.experts.token_groups = 2;
      check_rounded_on_gpus(job);
    }
    auto ring = test::small_job();
    ring.layout = parse_layout("cp=2");
    ring.context.lightning = LightningContext::kLasp;
    check_rounded_on_gpus(ring);
  }

  TEST_CASE("a GPU gives what a processor gives, also with what is calculated again" *
            doctest::skip(!has_gpus(1))) {
    for (const auto recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
      for (const double capacity : {0.0, 1.1}) {
        auto job = test::small_job();
        job.memory.recompute = recompute;
        job.model.capacity_factor = capacity;
        check_on_gpus(job);
      }
    }
  }

  TEST_CASE("two GPUs on every axis give what a processor gives" * doctest::skip(!has_gpus(2))) {
    for (const auto* layout :
         {"dp=2", "cp=2", "tp=2", "pp=2", "dp=2,ep=2", "cp=2,etp=2", "tp=2,ep=2"}) {
      for (const int groups : {1, 3}) {
        auto job = test::small_job();
        job.layout = parse_layout(layout);
        job.experts.token_groups = groups;
        check_on_gpus(job);
      }
    }
    for (const auto schedule : {PipelineSchedule::kZeroBubble, PipelineSchedule::kInterleaved}) {
      auto job = test::small_job();
      job.layout = parse_layout("pp=2");
      job.pipeline.schedule = schedule;
      job.pipeline.virtual_stages = schedule == PipelineSchedule::kInterleaved ? 2 : 1;
      check_on_gpus(job);
    }
  }
}

}  // namespace fulgur
