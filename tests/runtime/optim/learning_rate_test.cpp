#include "runtime/optim/learning_rate.hpp"

#include <doctest/doctest.h>

namespace fulgur {

TEST_SUITE("runtime/learning_rate") {
  TEST_CASE("warm-up is linear, then comes the peak, then a cosine to the final rate") {
    const LearningRateSpec spec{.peak = 2e-4,
                                .final = 3e-5,
                                .warmup_tokens = 1000,
                                .decay_from = 5000,
                                .decay_tokens = 2000};
    struct Row {
      std::int64_t tokens;
      double rate;
    };
    for (const Row& row :
         {Row{0, 0}, Row{1, 2e-7}, Row{500, 1e-4}, Row{1000, 2e-4}, Row{5000, 2e-4},
          Row{6000, 0.5 * (2e-4 + 3e-5)}, Row{7000, 3e-5}, Row{1000000, 3e-5}}) {
      CAPTURE(row.tokens);
      CHECK(learning_rate(spec, row.tokens) == doctest::Approx(row.rate).epsilon(1e-12));
    }
  }

  TEST_CASE("no warm-up and no decay is the peak throughout") {
    const LearningRateSpec spec{.peak = 0.01};
    CHECK(learning_rate(spec, 0) == 0.01);
    CHECK(learning_rate(spec, 1'000'000'000'000) == 0.01);
  }
}

}  // namespace fulgur
