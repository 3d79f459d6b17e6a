#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/support/layout_world.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur::test {

inline constexpr int kSteps = 5;
inline constexpr double kLoss = 1e-5;      // relative
inline constexpr double kGradient = 1e-4;  // relative norm, of every parameter

// A small model with both kinds of attention on every pipeline stage, and text whose documents cross
// chunks and ranks.
inline Job small_job() {
  Job job;
  job.name = "layout";
  job.run_directory = "unused";
  job.device = DeviceKind::kCpu;
  job.model = {.vocabulary = 264,
               .layers = 4,
               .hidden = 16,
               .heads = 8,
               .kv_heads = 2,
               .head_dim = 4,
               .rotary_dim = 2,
               .softmax_every = 2,
               .experts = 8,
               .experts_per_token = 2,
               .expert_hidden = 12,
               .lightning_alpha = 1.68,
               .softmax_alpha = 1.68,
               .moe_alpha = 1.68,
               .aux_loss_coef = 0.02};
  job.data.files = {"unused"};
  job.train = {.steps = kSteps, .sequence_length = 45, .batch = 16, .micro_batch = 8, .seed = 4};
  job.optimizer.learning_rate.peak = 1e-3;
  // Far above the gradients' rounding: AdamW must not turn it into whole steps.
  job.optimizer.eps = 1e-4;
  job.optimizer.bucket = 700;
  return job;
}

// Sequences of documents of 1 to 60 tokens, cut at the sequence's end.
inline LayoutRun small_run(const Job& job) {
  std::mt19937 generator(11);
  std::uniform_int_distribution<std::int32_t> id(0, 256), length(1, 60);
  LayoutRun run;
  for (int step = 0; step < kSteps; ++step) {
    auto& batch = run.steps.emplace_back(static_cast<std::size_t>(job.train.batch));
    for (auto& sample : batch) {
      const auto N = static_cast<std::int32_t>(job.train.sequence_length);
      sample.starts = {0};
      while (sample.starts.back() < N)
        sample.starts.push_back(std::min(N, sample.starts.back() + length(generator)));
      for (std::int32_t t = 0; t < N; ++t) {
        sample.ids.push_back(id(generator));
        // The last token of a document has no label now and then.
        sample.labels.push_back(id(generator) % 9 == 0 ? -1 : id(generator));
      }
    }
  }
  return run;
}

inline void check_equal(const std::vector<StepResult>& got,
                        const std::vector<StepResult>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t step = 0; step < got.size(); ++step) {
    CAPTURE(step);
    const auto &a = got[step], &b = expected[step];
    // Equal counts: no token was so near between two experts that rounding moved it.
    REQUIRE(a.routing.counts == b.routing.counts);
    CHECK(a.routing.dropped == b.routing.dropped);
    CHECK(a.loss == doctest::Approx(b.loss).epsilon(kLoss));
    CHECK(a.aux_loss == doctest::Approx(b.aux_loss).epsilon(kLoss));
    CHECK(a.norm == doctest::Approx(b.norm).epsilon(kGradient));
    REQUIRE(a.gradients.size() == b.gradients.size());
    for (const auto& each : b.gradients) {
      const auto& name = each.first;
      CAPTURE(name);
      CHECK(relative_error(a.gradients.at(name), each.second) <= kGradient);
    }
  }
}

}  // namespace fulgur::test
