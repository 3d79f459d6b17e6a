#include "runtime/train/sampling.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

namespace fulgur {

TEST_SUITE("runtime/sampling") {
  TEST_CASE("temperature 0 takes the largest logit, the lower id on a tie") {
    const std::array<float, 4> logits{0.5f, 2.0f, 2.0f, -1.0f};
    CHECK(sample_token(logits, 0, 1, 0.99) == 1);
  }

  TEST_CASE("draws in equal steps meet the softmax of the logits over the temperature") {
    const std::array<float, 3> logits{1.0f, 0.0f, 3.0f};
    for (const double temperature : {0.5, 1.0, 2.0}) {
      std::array<double, 3> share{};
      constexpr int kDraws = 30000;
      for (int i = 0; i < kDraws; ++i)
        share[static_cast<std::size_t>(sample_token(logits, temperature, 1, (i + 0.5) / kDraws))] +=
            1.0 / kDraws;
      double sum = 0;
      for (const float logit : logits)
        sum += std::exp(static_cast<double>(logit) / temperature);
      for (std::size_t id = 0; id < 3; ++id) {
        const double expected = std::exp(static_cast<double>(logits[id]) / temperature) / sum;
        CHECK(share[id] == doctest::Approx(expected).epsilon(1e-3));
      }
    }
  }

  TEST_CASE("top_p keeps the likeliest tokens only, and always one") {
    const std::array<float, 3> logits{std::log(0.5f), std::log(0.3f), std::log(0.2f)};
    for (int i = 0; i < 100; ++i) {
      const double draw = i / 100.0;
      CHECK(sample_token(logits, 1, 0.4, draw) == 0);
      CHECK(sample_token(logits, 1, 0.7, draw) <= 1);
    }
    CHECK(sample_token(logits, 1, 0.9, 0.999) == 2);
  }
}

}  // namespace fulgur
