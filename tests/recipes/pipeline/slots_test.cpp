#include "recipes/pipeline/slots.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "tests/recipes/pipeline/pipeline_checker.hpp"

namespace fulgur {
namespace {

TEST_SUITE("recipes/pipeline/slots") {
  TEST_CASE("no two micro-batches in flight share a slot, and all passes of one use the same") {
    for (const auto schedule :
         {PipelineSchedule::k1F1B, PipelineSchedule::kInterleaved, PipelineSchedule::kZeroBubble}) {
      const auto last = schedule == PipelineSchedule::kZeroBubble ? PassKind::kBackwardWeight
                                                                  : PassKind::kBackward;
      for (const auto& shape : test::grid_of(schedule)) {
        CAPTURE(test::to_string(shape));
        for (int s = 0; s < shape.stages; ++s) {
          const auto passes = pipeline_schedule(shape, s);
          const auto plan = plan_slots(passes, shape.virtual_stages);
          REQUIRE(plan.slot.size() == passes.size());
          std::map<std::pair<int, int>, int> owner;  // (virtual stage, slot): micro-batch
          std::vector<int> used(static_cast<std::size_t>(shape.virtual_stages));
          std::size_t in_flight = 0;
          bool good = true;
          for (std::size_t i = 0; i < passes.size(); ++i) {
            const std::pair at(passes[i].virtual_stage, plan.slot[i]);
            auto& most = used[static_cast<std::size_t>(at.first)];
            most = std::max(most, at.second + 1);
            const bool first = passes[i].kind == PassKind::kForward;
            good = good && owner.contains(at) != first;
            owner.try_emplace(at, passes[i].micro_batch);
            good = good && owner.at(at) == passes[i].micro_batch;
            in_flight = std::max(in_flight, owner.size());
            if (passes[i].kind == last) owner.erase(at);
          }
          CHECK(good);
          CHECK(owner.empty());
          CHECK(used == plan.num_slots);
          CHECK(in_flight == static_cast<std::size_t>(plan.most_in_flight));
        }
      }
    }
  }

  TEST_CASE("the memory high-water mark is that of the checker") {
    for (const auto schedule :
         {PipelineSchedule::k1F1B, PipelineSchedule::kInterleaved, PipelineSchedule::kZeroBubble}) {
      for (const auto& shape : test::grid_of(schedule)) {
        CAPTURE(test::to_string(shape));
        const auto program = test::program_of(shape);
        const auto verdict = test::check(program);
        for (std::size_t s = 0; s < program.passes.size(); ++s)
          CHECK(plan_slots(program.passes[s], shape.virtual_stages).most_in_flight ==
                verdict.most_in_flight[s]);
      }
    }
  }

  TEST_CASE("micro-batches beyond those that fill the pipeline need no further slots") {
    for (const auto schedule :
         {PipelineSchedule::k1F1B, PipelineSchedule::kInterleaved, PipelineSchedule::kZeroBubble}) {
      for (const int stages : {1, 2, 3, 4, 8}) {
        if (schedule == PipelineSchedule::kInterleaved && stages == 1) continue;
        PipelineShape full{schedule, stages, schedule == PipelineSchedule::kInterleaved ? 3 : 1, 1};
        full.micro_batches = micro_batches_that_fill(full);
        auto longer = full;
        longer.micro_batches = 5 * full.micro_batches;
        CAPTURE(test::to_string(full));
        for (int s = 0; s < stages; ++s) {
          const auto few = plan_slots(pipeline_schedule(full, s), full.virtual_stages);
          const auto many = plan_slots(pipeline_schedule(longer, s), full.virtual_stages);
          CHECK(few.num_slots == many.num_slots);
          CHECK(few.most_in_flight == many.most_in_flight);
        }
      }
    }
  }

  TEST_CASE("a stage of 1F1B uses its slots in turn") {
    const auto passes = pipeline_schedule({PipelineSchedule::k1F1B, 2, 1, 3}, 0);
    const auto plan = plan_slots(passes, 1);
    CHECK(plan.num_slots == std::vector<int>{2});
    // F0 F1 B0 F2 B1 B2
    CHECK(plan.slot == std::vector<int>{0, 1, 0, 0, 1, 0});
  }
}

}  // namespace
}  // namespace fulgur
