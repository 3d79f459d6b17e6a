#include "recipes/cost/flops.hpp"

#include <doctest/doctest.h>

#include "recipes/parameters.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {

TEST_SUITE("recipes/cost") {
  TEST_CASE("training FLOPs of MiniMax-Text-01 are those counted by hand, in billions a token") {
    const auto model = test::minimax_text_01();
    const auto at = [&](std::int64_t length) { return training_flops(model, length); };
    CHECK(at(8192).weights == doctest::Approx(275.7e9).epsilon(0.001));
    CHECK(at(8192).head == 6.0 * 6144 * 200064);
    // Ten layers: 10 x 3 x 4 x 8192 x (N + 1) / 2.
    CHECK(at(8192).softmax == doctest::Approx(4.03e9).epsilon(0.002));
    CHECK(at(131072).softmax == doctest::Approx(64.4e9).epsilon(0.002));
    CHECK(at(1 << 20).softmax == doctest::Approx(515.4e9).epsilon(0.002));
    CHECK(at(8192).lightning == doctest::Approx(1.76e9).epsilon(0.002));
    CHECK(at(1 << 20).lightning == at(8192).lightning);
  }

  TEST_CASE("softmax attention is two thirds of the FLOPs at a million tokens") {
    const auto flops = training_flops(test::minimax_text_01(), 1 << 20);
    CHECK(flops.softmax / (flops.weights + flops.softmax + flops.lightning) ==
          doctest::Approx(0.65).epsilon(0.01));
  }

  TEST_CASE("FLOPs of weights are six per active parameter, but for norms") {
    const auto model = test::minimax_text_01();
    const auto active = static_cast<double>(active_parameters(model));
    CHECK(training_flops(model, 8192).weights == doctest::Approx(6 * active).epsilon(1e-4));
  }
}

}  // namespace fulgur
