#include "orchestrator/sweep/statistics.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

using namespace fulgur;

TEST_SUITE("orchestrator/sweep/statistics") {
  // Neighbours fall and rise in turns, so each counts in full: s = sqrt(2.5), t(4, 0.975) = 2.776445.
  TEST_CASE("independent values have Student's interval") {
    const std::array values{3.0, 1.0, 4.0, 2.0, 5.0};
    const auto result = estimate(values);
    CHECK(result.mean == 3);
    CHECK(result.freedom == 4);
    CHECK(result.standard_error == doctest::Approx(std::sqrt(0.5)));
    CHECK(result.half_width == doctest::Approx(2.776445 * std::sqrt(0.5)));
  }

  // Deviations -1.5, -0.5, 0.5, 1.5: the correlation of neighbours is 1.25 / 5, so that four values say as
  // much as 4 x 0.75 / 1.25 = 2.4.
  TEST_CASE("values that follow a drift say less than their number") {
    const std::array values{1.0, 2.0, 3.0, 4.0};
    const auto result = estimate(values);
    CHECK(result.freedom == doctest::Approx(1.4));
    CHECK(result.standard_error == doctest::Approx(std::sqrt(5.0 / 3 / 2.4)));
  }

  TEST_CASE("equal values are sure, and two means that are equal do not differ") {
    const std::array values{2.0, 2.0, 2.0};
    const auto sure = estimate(values);
    CHECK(sure.half_width == 0);
    CHECK(p_value_smaller(sure, sure) == 1);
    const std::array others{3.0, 3.0};
    CHECK(p_value_smaller(sure, estimate(others)) == 0);
  }

  // A textbook pair: means 1 apart, standard errors 0.3 and 0.4, 9 degrees each: t = 2 with 16.88.
  TEST_CASE("Welch's test has its probability") {
    const Estimate a{{.mean = 10, .standard_error = 0.3, .freedom = 9}, 0};
    const Estimate b{{.mean = 11, .standard_error = 0.4, .freedom = 9}, 0};
    CHECK(p_value_smaller(a, b) == doctest::Approx(0.0309).epsilon(0.01));
    CHECK(p_value_smaller(b, a) == doctest::Approx(1 - p_value_smaller(a, b)));
  }

  TEST_CASE(
      "the interval of 95 % misses the mean of an autoregression about as often as it should") {
    std::mt19937 random(7);
    std::normal_distribution<double> normal;
    int missed = 0;
    constexpr int kRuns = 2000;
    for (int run = 0; run < kRuns; ++run) {
      std::vector<double> values;
      double state = normal(random) / std::sqrt(1 - 0.5 * 0.5);
      for (int i = 0; i < 60; ++i) {
        state = 0.5 * state + normal(random);
        values.push_back(state);
      }
      const auto result = estimate(values);
      if (std::abs(result.mean) > result.half_width) ++missed;
    }
    CHECK(missed > kRuns * 0.03);
    CHECK(missed < kRuns * 0.10);  // without regard to the correlation: about a quarter
  }
}
