#include "recipes/cost/model_state.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

Job text_01(const Layout& layout) {
  Job job = test::small_job();
  job.model = test::minimax_text_01();
  job.train = {.steps = 1,
               .sequence_length = 8192,
               .batch = 2048,
               .micro_batch = layout.dp,
               .precision = Precision::kBFloat16};
  job.layout = layout;
  job.pipeline.layers.assign(static_cast<std::size_t>(layout.pp), 80 / layout.pp);
  return job;
}

// Without the sums of gradients, which are a matter of how the optimizer is written.
std::vector<double> gibibytes(const Job& job) {
  std::vector<double> result;
  for (const auto& state : model_states(job))
    result.push_back((state.weights + state.gradients + state.optimizer) / kGiB);
  return result;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values)
    sum += value;
  return sum / static_cast<double>(values.size());
}

double fullest(const std::vector<double>& values) {
  return *std::max_element(values.begin(), values.end());
}

struct Published {
  Layout layout;
  double mean, fullest;  // GiB
};

}  // namespace

TEST_SUITE("recipes/cost") {
  TEST_CASE("the model state of MiniMax-Text-01 is what was counted by hand, to 0.1 GiB") {
    const Published published[] = {
        {{.pp = 10, .dp = 16, .tp = 8, .ep = 32}, 13.1, 13.84},
        {{.pp = 5, .dp = 32, .tp = 8, .ep = 32}, 22.1, 22.70},
        {{.pp = 5, .dp = 32, .tp = 8, .ep = 32, .etp = 2}, 14.5, 15.11},
        {{.pp = 8, .dp = 32, .tp = 8, .ep = 8}, 42.3, 43.03},
    };
    for (const auto& each : published) {
      CAPTURE(to_string(each.layout));
      const auto states = gibibytes(text_01(each.layout));
      CHECK(std::abs(mean(states) - each.mean) < 0.1);
      CHECK(std::abs(fullest(states) - each.fullest) < 0.1);
    }
  }

  TEST_CASE("one rank holds every parameter, with 16 bytes each in float32") {
    auto job = text_01({});
    job.train.precision = Precision::kFloat32;
    const auto state = model_states(job).front();
    CHECK(state.parameters == total_parameters(job.model));
    CHECK(state.total() == 16.0 * static_cast<double>(state.parameters));
    CHECK(state.reduced == 0);  // nobody to add up with
  }

  TEST_CASE("the parts of all ranks make the whole, but for copies and padding") {
    const auto job = text_01({.pp = 10, .dp = 16, .tp = 8, .ep = 32});
    const auto table = parameters(job.model, job.optimizer.decay_on);
    double whole = 0;
    for (int stage = 0; stage < job.layout.pp; ++stage) {
      for (const auto& held : replicated_parameters(job, table, stage)) {
        // Every rank of the stage holds `count`, and `replicas` ranks hold the same.
        whole += static_cast<double>(held.count) * 128 / held.replicas;
      }
    }
    CHECK(whole == doctest::Approx(static_cast<double>(total_parameters(job.model))).epsilon(1e-6));
  }

  TEST_CASE("norms and routers keep float32 weights, which need no second copy") {
    const auto job = text_01({.pp = 10, .dp = 16, .tp = 8, .ep = 32});
    const auto table = parameters(job.model, job.optimizer.decay_on);
    double exact = 0;
    for (const auto& held : replicated_parameters(job, table, 3)) {
      if (!held.exact) continue;
      CHECK(held.kind == ParameterKind::kDense);
      exact += static_cast<double>(held.count);
    }
    // 8 layers: two norms and a router each, and 7 norms of lightning attention, cut over tp.
    CHECK(exact == doctest::Approx(8 * (2 * 6144 + 32 * 6144) + 7 * 1024).epsilon(1e-4));
  }
}

}  // namespace fulgur
