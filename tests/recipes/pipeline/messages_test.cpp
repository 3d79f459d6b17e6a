#include "recipes/pipeline/messages.hpp"

#include <doctest/doctest.h>

#include "tests/recipes/pipeline/pipeline_checker.hpp"

namespace fulgur {
namespace {

TEST_SUITE("recipes/pipeline/messages") {
  TEST_CASE("the neighbours on the ring of stages are those before and behind") {
    const PipelineShape shape{PipelineSchedule::kInterleaved, 4, 2, 8};
    CHECK(peer_stage(shape, 0, PipeEnd::kActivationsOut) == 1);
    CHECK(peer_stage(shape, 0, PipeEnd::kActivationsIn) == 3);
    CHECK(peer_stage(shape, 0, PipeEnd::kGradientsIn) == 1);
    CHECK(peer_stage(shape, 0, PipeEnd::kGradientsOut) == 3);
    CHECK(peer_stage(shape, 3, PipeEnd::kActivationsOut) == 0);
  }

  TEST_CASE("the ends of a pipeline send nothing outwards without virtual stages") {
    for (const auto schedule : {PipelineSchedule::k1F1B, PipelineSchedule::kZeroBubble}) {
      const PipelineShape shape{schedule, 2, 1, 4};
      const auto first = pipeline_schedule(shape, 0), last = pipeline_schedule(shape, 1);
      CHECK(pipe_messages(shape, 0, first, PipeEnd::kActivationsIn).empty());
      CHECK(pipe_messages(shape, 0, first, PipeEnd::kGradientsOut).empty());
      CHECK(pipe_messages(shape, 1, last, PipeEnd::kActivationsOut).empty());
      CHECK(pipe_messages(shape, 1, last, PipeEnd::kGradientsIn).empty());
      CHECK(pipe_messages(shape, 1, last, PipeEnd::kActivationsIn).size() == 4);
      CHECK(pipe_messages(shape, 1, last, PipeEnd::kGradientsOut).size() == 4);
    }
  }

  TEST_CASE("a message names its micro-batch, the piece that made it and the pass") {
    // Stage 1 of 2, two pieces (1 and 3), two micro-batches: F0.0 F1.0 F0.1 B0.1 F1.1 B1.1 B0.0 B1.0
    const PipelineShape shape{PipelineSchedule::kInterleaved, 2, 2, 2};
    const auto passes = pipeline_schedule(shape, 1);
    using Messages = std::vector<Message>;
    CHECK(pipe_messages(shape, 1, passes, PipeEnd::kActivationsIn) ==
          Messages{{0, 0, 0}, {1, 0, 1}, {0, 2, 2}, {1, 2, 4}});
    CHECK(pipe_messages(shape, 1, passes, PipeEnd::kActivationsOut) ==
          Messages{{0, 1, 0}, {1, 1, 1}});
    CHECK(pipe_messages(shape, 1, passes, PipeEnd::kGradientsIn) == Messages{{0, 2, 6}, {1, 2, 7}});
    CHECK(pipe_messages(shape, 1, passes, PipeEnd::kGradientsOut) ==
          Messages{{0, 3, 3}, {1, 3, 5}, {0, 1, 6}, {1, 1, 7}});
  }

  TEST_CASE("one stage has no pipes, whatever its pieces") {
    const PipelineShape shape{PipelineSchedule::kInterleaved, 1, 3, 4};
    const auto passes = pipeline_schedule(shape, 0);
    for (const auto end : {PipeEnd::kActivationsIn, PipeEnd::kActivationsOut, PipeEnd::kGradientsIn,
                           PipeEnd::kGradientsOut})
      CHECK(pipe_messages(shape, 0, passes, end).empty());
  }
}

}  // namespace
}  // namespace fulgur
