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

}  // namespace

TEST_SUITE("layout/gpu") {
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
