#include "recipes/pipeline/schedule.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "recipes/pipeline_layers.hpp"
#include "recipes/rules/rules.hpp"
#include "tests/recipes/pipeline/pipeline_checker.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

constexpr auto kAll = {PipelineSchedule::k1F1B, PipelineSchedule::kInterleaved,
                       PipelineSchedule::kZeroBubble};

// What is left of the time when a stage has done its 3 units of work for each micro-batch and piece.
std::int64_t bubble(const test::Verdict& verdict, const PipelineShape& shape) {
  return verdict.makespan - std::int64_t{3} * shape.micro_batches * shape.virtual_stages;
}

// Interleaved 1F1B as Megatron-LM builds it, in groups of `stages` micro-batches whatever their number.
std::vector<Pass> megatron(const PipelineShape& shape, int stage) {
  const int p = shape.stages, v = shape.virtual_stages, m = shape.micro_batches;
  std::vector<Pass> forwards, backwards;
  for (int first = 0; first < m; first += p) {
    for (int i = 0; i < p * v; ++i) {
      const int micro_batch = first + i % p;
      if (micro_batch >= m) continue;
      forwards.push_back({PassKind::kForward, micro_batch, i / p});
      backwards.push_back({PassKind::kBackward, micro_batch, v - 1 - i / p});
    }
  }
  const auto total = forwards.size();
  const auto warm_up = std::min(total, static_cast<std::size_t>((p - stage - 1) * 2 + (v - 1) * p));
  std::vector<Pass> passes;
  for (std::size_t i = 0; i < total + warm_up; ++i) {
    if (i < total) passes.push_back(forwards[i]);
    if (i >= warm_up) passes.push_back(backwards[i - warm_up]);
  }
  return passes;
}

TEST_SUITE("recipes/pipeline/schedule") {
  TEST_CASE("every schedule does every pass once and waits for nothing for ever") {
    for (const auto schedule : kAll) {
      for (const auto& shape : test::grid_of(schedule)) {
        CAPTURE(test::to_string(shape));
        const auto program = test::program_of(shape);
        CHECK(test::check(program).problem == "");
        CHECK(test::check(program, {.send = 1, .receive = 1}).problem == "");
      }
    }
  }

  TEST_CASE("two buffers at each end of a pipe hold up no pass") {
    for (const auto schedule : kAll) {
      for (const auto& shape : test::grid_of(schedule)) {
        CAPTURE(test::to_string(shape));
        const auto program = test::program_of(shape);
        CHECK(test::check(program, {.send = 2, .receive = 2}).makespan ==
              test::check(program).makespan);
      }
    }
  }

  TEST_CASE("1F1B has the bubble and the memory of its formulas") {
    for (const auto& shape : test::grid_of(PipelineSchedule::k1F1B)) {
      CAPTURE(test::to_string(shape));
      const auto verdict = test::check(test::program_of(shape));
      CHECK(bubble(verdict, shape) == 3 * (shape.stages - 1));
      for (int s = 0; s < shape.stages; ++s)
        CHECK(verdict.most_in_flight[static_cast<std::size_t>(s)] ==
              std::min(shape.micro_batches, shape.stages - s));
    }
  }

  TEST_CASE("interleaved 1F1B is Megatron's where the stages divide the micro-batches") {
    for (const auto& shape : test::grid_of(PipelineSchedule::kInterleaved)) {
      if (shape.micro_batches % shape.stages != 0) continue;
      CAPTURE(test::to_string(shape));
      for (int s = 0; s < shape.stages; ++s)
        CHECK(pipeline_schedule(shape, s) == megatron(shape, s));
      CHECK(bubble(test::check(test::program_of(shape)), shape) == 3 * (shape.stages - 1));
    }
  }

  TEST_CASE("interleaved 1F1B keeps its bound of memory, and waits no longer than 1F1B") {
    for (const auto& shape : test::grid_of(PipelineSchedule::kInterleaved)) {
      CAPTURE(test::to_string(shape));
      const auto verdict = test::check(test::program_of(shape));
      CHECK(bubble(verdict, shape) <= 3 * (shape.stages - 1) * shape.virtual_stages);
      for (int s = 0; s < shape.stages; ++s) {
        const int bound =
            2 * (shape.stages - s - 1) + (shape.virtual_stages - 1) * shape.stages + 1;
        CHECK(verdict.most_in_flight[static_cast<std::size_t>(s)] <=
              std::min(bound, shape.micro_batches * shape.virtual_stages));
      }
    }
  }

  TEST_CASE("ZB-H1 has a third of 1F1B's bubble and the memory of its stage 0") {
    for (const auto& shape : test::grid_of(PipelineSchedule::kZeroBubble)) {
      CAPTURE(test::to_string(shape));
      const auto verdict = test::check(test::program_of(shape));
      CHECK(bubble(verdict, shape) ==
            shape.stages - 1 + std::max(0, shape.stages - shape.micro_batches));
      for (const int in_flight : verdict.most_in_flight)
        CHECK(in_flight == std::min(shape.micro_batches, shape.stages));
    }
  }

  TEST_CASE("the first passes of a stage are those of the papers' figures") {
    using enum PassKind;
    const PipelineShape plain{PipelineSchedule::k1F1B, 4, 1, 3};
    CHECK(pipeline_schedule(plain, 2) == std::vector<Pass>{{kForward, 0},
                                                           {kForward, 1},
                                                           {kBackward, 0},
                                                           {kForward, 2},
                                                           {kBackward, 1},
                                                           {kBackward, 2}});
    const PipelineShape zero{PipelineSchedule::kZeroBubble, 2, 1, 2};
    CHECK(pipeline_schedule(zero, 1) == std::vector<Pass>{{kForward, 0},
                                                          {kBackwardInput, 0},
                                                          {kForward, 1},
                                                          {kBackwardInput, 1},
                                                          {kBackwardWeight, 0},
                                                          {kBackwardWeight, 1}});
  }

  TEST_CASE("shapes that cannot be are refused with their numbers") {
    const auto refusal = [](const PipelineShape& shape, int stage) -> std::string {
      try {
        pipeline_schedule(shape, stage);
      } catch (const std::invalid_argument& error) {
        return error.what();
      }
      return "taken";
    };
    using enum PipelineSchedule;
    const std::string prefix = "pipeline schedule: ";
    CHECK(refusal({k1F1B, 0, 1, 4}, 0) ==
          prefix + "0 stages, 1 virtual stages, 4 micro-batches: all must be at least 1");
    CHECK(refusal({k1F1B, 2, 1, 4}, 2) == prefix + "stage 2 is not one of 2");
    CHECK(refusal({k1F1B, 2, 3, 4}, 0) ==
          prefix + "3 virtual stages, but only interleaved 1F1B has more than 1");
    CHECK(refusal({kZeroBubble, 2, 2, 4}, 1) ==
          prefix + "2 virtual stages, but only interleaved 1F1B has more than 1");
    CHECK(refusal({kInterleaved, 2, 1, 4}, 1) ==
          prefix + "1 virtual stages, but interleaved 1F1B is for 2 or more");
    CHECK(refusal({kInterleaved, 2, 1 << 20, 1 << 20}, 1) ==
          prefix +
              "1048576 virtual stages x 1048576 micro-batches are more than 16777216 forwards");
  }
}

TEST_SUITE("recipes/pipeline/rules") {
  TEST_CASE(
      "a job that keeps the rules has a schedule on every stage, and layers for every piece") {
    int kept = 0;
    for (const auto schedule : kAll) {
      for (int pp = 1; pp <= 4; ++pp) {
        for (int virtual_stages = 1; virtual_stages <= 3; ++virtual_stages) {
          auto job = test::small_job();
          job.layout.pp = pp;
          job.model.layers = 8;
          job.pipeline = {.schedule = schedule, .virtual_stages = virtual_stages, .layers = {}};
          if (!violations(job).empty()) continue;
          ++kept;
          const PipelineShape shape{schedule, pp, virtual_stages,
                                    static_cast<int>(job.train.batch / job.train.micro_batch)};
          CAPTURE(test::to_string(shape));
          CHECK(test::check(test::program_of(shape)).problem == "");
          CHECK(layers_per_piece(job).size() == static_cast<std::size_t>(shape.pieces()));
        }
      }
    }
    CHECK(kept == 4 + 4 + 4);  // 1F1B, ZB-H1; interleaved 2 x 2, 2 x 3, 3 x 2, 4 x 2
  }
}

TEST_SUITE("recipes/pipeline/checker") {
  TEST_CASE("the checker finds Megatron's order waiting for itself where groups are small") {
    const PipelineShape shape{PipelineSchedule::kInterleaved, 4, 4, 5};
    auto program = test::program_of(shape);
    for (int s = 0; s < shape.stages; ++s) {
      const auto stage = static_cast<std::size_t>(s);
      program.passes[stage] = megatron(shape, s);
      for (std::size_t end = 0; end < 4; ++end)
        program.messages[stage][end] =
            pipe_messages(shape, s, program.passes[stage], static_cast<PipeEnd>(end));
    }
    CHECK(test::check(program).problem.ends_with("waits for ever"));
  }

  TEST_CASE("the checker finds a pass that is missing, doubled, too early or out of turn") {
    const auto good = test::program_of({PipelineSchedule::kZeroBubble, 3, 1, 4});
    REQUIRE(test::check(good).problem == "");
    auto bad = good;
    bad.passes[1].pop_back();
    CHECK(test::check(bad).problem == "stage 1: 11 passes instead of 12");
    bad = good;
    bad.passes[1].push_back(bad.passes[1].back());
    CHECK(test::check(bad).problem == "stage 1: W3.0 is not the next micro-batch");
    bad = good;
    std::swap(bad.passes[2][0], bad.passes[2][1]);
    CHECK(test::check(bad).problem == "stage 2: I0.0 comes before what it needs of its own stage");
    bad = good;
    bad.passes[0][0].kind = PassKind::kBackward;
    CHECK(test::check(bad).problem == "stage 0: B0.0 does not exist");
    bad = good;
    std::swap(bad.passes[0][0].micro_batch, bad.passes[0][1].micro_batch);
    CHECK(test::check(bad).problem == "stage 0: F1.0 is not the next micro-batch");
  }

  TEST_CASE("the checker finds messages that are lost or exchanged") {
    constexpr auto kIn = static_cast<std::size_t>(PipeEnd::kActivationsIn);
    constexpr auto kActivationsOut = static_cast<std::size_t>(PipeEnd::kActivationsOut);
    constexpr auto kOut = static_cast<std::size_t>(PipeEnd::kGradientsOut);
    const auto good = test::program_of({PipelineSchedule::kInterleaved, 3, 2, 6});
    REQUIRE(test::check(good).problem == "");
    auto bad = good;
    bad.messages[1][kIn].pop_back();
    CHECK(test::check(bad).problem == "stage 0: a pipe with loose ends");
    bad.messages[0][kActivationsOut].pop_back();
    CHECK(test::check(bad).problem == "stage 1: F5.1 lacks a message");
    bad = good;
    bad.messages[2][kOut].pop_back();
    CHECK(test::check(bad).problem == "stage 1: B5.0 waits for a message that nobody sends");
    bad = good;
    std::swap(bad.messages[0][kIn][2], bad.messages[0][kIn][3]);
    CHECK(test::check(bad).problem == "stage 0: F2.1 receives what stage 2: F3.0 sends");
    bad = good;
    bad.messages[0][kIn][2].micro_batch = 5;
    CHECK(test::check(bad).problem == "stage 0: message 2 of a pipe has two names");
  }

  TEST_CASE("the checker sees a longer wait and a higher memory mark") {
    const PipelineShape shape{PipelineSchedule::k1F1B, 4, 1, 8};
    auto program = test::program_of(shape);
    // All forwards, then all backwards, on stage 0 only: more is in flight and nothing else changes.
    auto& passes = program.passes[0];
    std::stable_partition(passes.begin(), passes.end(),
                          [](const Pass& pass) { return pass.kind == PassKind::kForward; });
    for (std::size_t end = 0; end < 4; ++end)
      program.messages[0][end] = pipe_messages(shape, 0, passes, static_cast<PipeEnd>(end));
    const auto verdict = test::check(program);
    CHECK(verdict.problem == "");
    CHECK(verdict.most_in_flight[0] == 8);
    // One micro-batch through at a time: nobody overlaps.
    for (int s = 0; s < 4; ++s) {
      auto& own = program.passes[static_cast<std::size_t>(s)];
      std::stable_sort(own.begin(), own.end(),
                       [](const Pass& a, const Pass& b) { return a.micro_batch < b.micro_batch; });
      for (std::size_t end = 0; end < 4; ++end)
        program.messages[static_cast<std::size_t>(s)][end] =
            pipe_messages(shape, s, own, static_cast<PipeEnd>(end));
    }
    CHECK(test::check(program).makespan == 4 * 3 * 8);
  }
}

}  // namespace
}  // namespace fulgur
