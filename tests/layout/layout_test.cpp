// The proof that the layout changes nothing: the same job on one rank and on many layouts.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "recipes/rules/rules.hpp"
#include "tests/layout/small_job.hpp"

namespace fulgur {
namespace {

using test::check_equal;
using test::small_job;
using test::small_run;

const std::vector<test::StepResult>& one_rank() {
  static const auto results = [] {
    const auto job = small_job();
    return test::run_layout(job, small_run(job));
  }();
  return results;
}

void check_layout(const Job& job) {
  CAPTURE(to_string(job.layout));
  for (const auto& violation : violations(job))
    FAIL(violation.message);
  check_equal(test::run_layout(job, small_run(job)), one_rank());
}

void check_layouts(const std::vector<std::string>& layouts) {
  for (const auto& text : layouts) {
    auto job = small_job();
    job.layout = parse_layout(text);
    check_layout(job);
  }
}

TEST_SUITE("layout") {
  TEST_CASE("every axis alone changes nothing") {
    check_layouts({"dp=2", "dp=8", "cp=2", "cp=3", "cp=4", "tp=2", "tp=4", "pp=2", "pp=4"});
  }

  TEST_CASE("experts over the ranks of another axis change nothing") {
    check_layouts({"dp=2,ep=2", "dp=4,ep=2", "cp=2,ep=2", "cp=4,ep=4", "tp=2,ep=2", "dp=2,etp=2",
                   "cp=2,etp=2", "tp=2,etp=2", "dp=4,ep=2,etp=2", "dp=8,ep=8"});
  }

  TEST_CASE("every pair of axes changes nothing") {
    check_layouts({"dp=2,cp=2", "dp=2,tp=2", "dp=2,pp=2", "cp=2,tp=2", "cp=2,pp=2", "tp=2,pp=2",
                   "pp=2,dp=2,ep=2", "pp=2,dp=2,etp=2"});
  }

  TEST_CASE("three and four axes, and unlike meshes, change nothing") {
    check_layouts({"dp=2,cp=2,tp=2", "pp=2,cp=2,tp=2,ep=4", "pp=2,cp=2,tp=2,ep=2,etp=2",
                   "pp=2,dp=2,tp=2,ep=4", "dp=2,cp=2,tp=2,ep=4,etp=2", "tp=4,dp=2,ep=8",
                   "cp=4,tp=2,ep=2,etp=2", "pp=4,tp=2,etp=2"});
  }

  TEST_CASE("every pipeline schedule gives the same gradients, also with stages cut by hand") {
    const std::vector<PipelineSpec> pipelines = {
        {.schedule = PipelineSchedule::kInterleaved, .virtual_stages = 2},
        {.schedule = PipelineSchedule::kZeroBubble},
        {.schedule = PipelineSchedule::k1F1B, .layers = {3, 1}},
        {.schedule = PipelineSchedule::kInterleaved,
         .virtual_stages = 3,
         .layers = {1, 0, 1, 1, 1, 0}}};
    for (const auto& pipeline : pipelines) {
      for (const auto* layout : {"pp=2", "pp=2,cp=2,tp=2"}) {
        auto job = small_job();
        job.layout = parse_layout(layout);
        job.pipeline = pipeline;
        CAPTURE(pipeline.virtual_stages);
        check_layout(job);
      }
    }
  }

  TEST_CASE("what is calculated again in the backward pass is the same, and takes less memory") {
    for (const auto* layout : {"dp=1", "pp=2,cp=2", "tp=2,dp=2,ep=2,etp=2"}) {
      auto job = small_job();
      job.layout = parse_layout(layout);
      const auto run = small_run(job);
      const auto all_kept = test::run_layout(job, run);
      auto bytes = all_kept.front().activation_bytes;
      for (const auto recompute : {Recompute::kSelective, Recompute::kFull}) {
        job.memory.recompute = recompute;
        const auto results = test::run_layout(job, run);
        for (std::size_t step = 0; step < results.size(); ++step) {
          CHECK(results[step].loss == all_kept[step].loss);
          CHECK(results[step].gradients == all_kept[step].gradients);
        }
        CHECK(results.front().activation_bytes < bytes);
        bytes = results.front().activation_bytes;
      }
    }
  }

  TEST_CASE("zero-bubble keeps the operands of weight gradients that are calculated again") {
    for (const auto recompute : {Recompute::kSelective, Recompute::kFull}) {
      auto job = small_job();
      job.layout = parse_layout("pp=2,tp=2,ep=2");
      job.pipeline.schedule = PipelineSchedule::kZeroBubble;
      job.memory.recompute = recompute;
      check_layout(job);
    }
  }

  TEST_CASE("contiguous shards and the ring of LASP give the same as zigzag and one all-gather") {
    for (const auto order : {ContextOrder::kZigzag, ContextOrder::kContiguous}) {
      for (const auto lightning : {LightningContext::kLaspPlus, LightningContext::kLasp}) {
        for (const auto* layout : {"cp=3", "cp=4,dp=2,ep=2", "pp=2,cp=2,tp=2"}) {
          auto job = small_job();
          job.layout = parse_layout(layout);
          job.context = {.order = order, .lightning = lightning};
          check_layout(job);
        }
      }
    }
  }

  TEST_CASE("the number of token groups changes nothing") {
    for (const int groups : {2, 3, 8}) {
      for (const auto* layout : {"dp=1", "dp=2,ep=2", "dp=2,cp=2,tp=2,ep=4,etp=2"}) {
        auto job = small_job();
        job.layout = parse_layout(layout);
        job.experts.token_groups = groups;
        CAPTURE(groups);
        check_layout(job);
      }
    }
  }

  TEST_CASE("experts with a capacity drop the same tokens on every layout") {
    auto job = small_job();
    job.model.capacity_factor = 1.1;
    const auto run = small_run(job);
    const auto expected = test::run_layout(job, run);
    CHECK(std::all_of(expected.front().routing.dropped.begin(),
                      expected.front().routing.dropped.end(), [](auto n) { return n > 0; }));
    for (const auto* layout : {"dp=2", "cp=4,ep=2", "tp=2,ep=2", "pp=2,cp=2,tp=2,ep=2,etp=2",
                               "dp=2,cp=2,tp=2,ep=4,etp=2"}) {
      job.layout = parse_layout(layout);
      CAPTURE(layout);
      const auto results = test::run_layout(job, run);
      check_equal(results, expected);
      // Ranks with capacities of their own would drop more.
      const auto total = [](const std::vector<std::int64_t>& layers) {
        return std::accumulate(layers.begin(), layers.end(), std::int64_t{0});
      };
      CHECK(total(results.front().routing.dropped_local) > total(expected.front().routing.dropped));
    }
  }

  TEST_CASE("sequences of an odd length and of fewer tokens than a rank has rows for are cut too") {
    for (const std::int64_t length : {7, 9, 21, 63}) {
      auto job = small_job();
      job.train.sequence_length = length;
      const auto run = small_run(job);
      const auto expected = test::run_layout(job, run);
      for (const auto* layout : {"cp=3", "cp=3,tp=2,ep=2", "pp=2,cp=2,tp=2"}) {
        job.layout = parse_layout(layout);
        CAPTURE(layout);
        CAPTURE(length);
        check_equal(test::run_layout(job, run), expected);
      }
    }
  }
}

}  // namespace
}  // namespace fulgur
