#include "orchestrator/power/statistics.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <utility>
#include <vector>

namespace fulgur {
namespace {

double normal_cdf(double x) {
  return std::erfc(-x / std::numbers::sqrt2) / 2;
}

// P(T > limit) for T = (Z + shift) / sqrt(C / v), Z standard normal and C chi-squared with v degrees of
// freedom: the integral over s = sqrt(C / v) of the density of s times P(Z > limit s - shift), by Simpson.
double integrated_power(double v, double shift, double limit) {
  const double constant = std::log(2.0) + v / 2 * std::log(v / 2) - std::lgamma(v / 2);
  const auto integrand = [&](double s) {
    if (s <= 0) return 0.0;
    const double density = std::exp(constant + (v - 1) * std::log(s) - v * s * s / 2);
    return density * normal_cdf(shift - limit * s);
  };
  constexpr int kSteps = 200'000;
  constexpr double kEnd = 8;
  double sum = 0;
  for (int i = 0; i <= kSteps; ++i)
    sum += (i == 0 || i == kSteps ? 1 : i % 2 == 1 ? 4 : 2) * integrand(kEnd * i / kSteps);
  return sum * kEnd / kSteps / 3;
}

}  // namespace

TEST_SUITE("orchestrator/power/statistics") {
  TEST_CASE("deviations count the values less one, and are pooled by that") {
    const auto a = sample_of(std::vector{2.0, 4.0, 6.0});  // 2
    const auto b = sample_of(std::vector{1.0, 1.0, 1.0, 1.0, 6.0});
    CHECK(a.count == 3);
    CHECK(a.mean == 4);
    CHECK(a.deviation == doctest::Approx(2));
    CHECK(b.deviation == doctest::Approx(std::sqrt(5.0)));
    CHECK(pooled_deviation(a, b) == doctest::Approx(std::sqrt((2 * 4.0 + 4 * 5.0) / 6)));
    CHECK(sample_of(std::vector{3.0}).deviation == 0);
  }

  TEST_CASE("with two degrees of freedom the test has a closed form") {
    // Two values each with equal deviations: freedom 2, P(T > t) = (1 - t / sqrt(2 + t^2)) / 2.
    const auto a = sample_of(std::vector{5.0, 7.0}), b = sample_of(std::vector{1.0, 3.0});
    const auto test = welch_test(a, b, 0.95);
    const double t = 4 / std::sqrt(2.0);
    CHECK(test.difference == 4);
    CHECK(test.standard_error == doctest::Approx(std::sqrt(2.0)));
    CHECK(test.freedom == doctest::Approx(2));
    CHECK(test.probability == doctest::Approx((1 - t / std::sqrt(2 + t * t)) / 2).epsilon(1e-9));
    // Tables: t(0.95, 2) = 2.919986.
    CHECK(test.at_least == doctest::Approx(4 - 2.919986 * std::sqrt(2.0)).epsilon(1e-6));
    CHECK(welch_test(b, a, 0.95).probability == doctest::Approx(1 - test.probability));
  }

  TEST_CASE("a sample without noise leaves the freedom to the other one") {
    const auto noisy = sample_of(std::vector{1.0, 2.0, 3.0, 4.0, 5.0});
    const auto still = sample_of(std::vector{2.0, 2.0, 2.0});
    const auto test = welch_test(noisy, still, 0.95);
    CHECK(test.freedom == doctest::Approx(4));
    // Tables: t(0.95, 4) = 2.131847.
    CHECK(test.at_least == doctest::Approx(1 - 2.131847 * std::sqrt(2.5 / 5)).epsilon(1e-6));
    CHECK(welch_test(still, still, 0.95).probability == 0.5);
    CHECK(welch_test(still, sample_of(std::vector{1.0, 1.0}), 0.95).probability == 0);
  }

  TEST_CASE("the power of a test is that of an integral over the noise") {
    // Tables: t(0.95, v) for v = 2, 4, 8, 18, 60.
    const std::vector<std::pair<std::int64_t, double>> cases = {
        {2, 2.919986}, {3, 2.131847}, {5, 1.859548}, {10, 1.734064}, {31, 1.670649}};
    for (const auto& each : cases) {
      const auto count = each.first;
      for (const double effect : {0.3, 1.0, 2.5}) {
        CAPTURE(count);
        CAPTURE(effect);
        const auto n = static_cast<double>(count);
        const double expected =
            integrated_power(2 * n - 2, effect / 2 * std::sqrt(n / 2), each.second);
        CHECK(test_power(count, effect, 2, 0.95) == doctest::Approx(expected).epsilon(1e-5));
      }
    }
    CHECK(test_power(7, 0, 1, 0.95) == doctest::Approx(0.05));  // of equal means
  }

  TEST_CASE("what many values detect is the normal distribution's formula") {
    // z(0.95) = 1.644854, z(0.8) = 0.841621; 2 (z + z)^2 = 12.36511 values for an effect of sigma.
    const double z = 1.644854 + 0.841621;
    for (const std::int64_t count : {1'000LL, 99'999LL, 100'000LL, 4'000'000LL}) {
      const double expected = z * 3 * std::sqrt(2 / static_cast<double>(count));
      CHECK(detectable_effect(count, 3, {}) == doctest::Approx(expected).epsilon(1e-3));
    }
    CHECK(needed_count(0.001, 1, {}) == doctest::Approx(12.36511e6).epsilon(1e-6));
    CHECK(needed_count(0.01, 1, {}) == doctest::Approx(12.36511e4).epsilon(1e-4));
    const double two_nines = 2.326348 + 1.281552;  // z(0.99) + z(0.9)
    CHECK(needed_count(0.001, 1, {.confidence = 0.99, .power = 0.9}) ==
          doctest::Approx(2 * two_nines * two_nines * 1e6).epsilon(1e-5));
  }

  TEST_CASE("a needed number is enough, and one less is not") {
    for (const double effect : {0.05, 0.3, 1.0, 1.5, 3.0}) {
      CAPTURE(effect);
      const auto count = needed_count(effect, 1, {});
      CHECK(test_power(count, effect, 1, 0.95) >= 0.8);
      if (count > 2) CHECK(test_power(count - 1, effect, 1, 0.95) < 0.8);
      CHECK(detectable_effect(count, 1, {}) <= effect);
    }
    CHECK(needed_count(1, 0, {}) == 2);
    CHECK_THROWS_AS(needed_count(1e-9, 1, {}), std::range_error);
  }

  TEST_CASE("two seeds detect what they find in four of five cases") {
    const double effect = detectable_effect(2, 0.5, {});
    CHECK(integrated_power(2, effect / 0.5, 2.919986) == doctest::Approx(0.8).epsilon(1e-5));
  }
}

}  // namespace fulgur
