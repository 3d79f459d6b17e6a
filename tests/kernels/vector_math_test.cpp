#include "kernels/vector_math.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace fulgur {
namespace {

double ulp(float x) {
  return std::nextafter(x, std::numeric_limits<float>::infinity()) - x;
}

}  // namespace

TEST_SUITE("kernels/vector_math") {
  TEST_CASE("vector_exp is within one ulp wherever the result is a normal number") {
    double worst = 0;
    for (const float sign : {1.0f, -1.0f}) {
      for (std::uint32_t bits = 0;; bits += 997) {  // all magnitudes from the subnormal to 88.72
        const float x = sign * std::bit_cast<float>(bits);
        if (std::abs(x) > 88.72f || x < -87.33f) break;
        const double exact = std::exp(static_cast<double>(x));
        const double error = std::abs(vector_exp(x) - exact) / ulp(static_cast<float>(exact));
        worst = std::max(worst, error);
      }
    }
    CAPTURE(worst);
    CHECK(worst <= 1.0);
  }

  TEST_CASE("vector_exp is exact at 0, fades to 0, and ends in infinity") {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    CHECK(vector_exp(0.0f) == 1.0f);
    CHECK(vector_exp(-0.0f) == 1.0f);
    CHECK(vector_exp(-kInfinity) == 0.0f);
    CHECK(vector_exp(-1e30f) == 0.0f);
    CHECK(vector_exp(89.0f) == kInfinity);
    CHECK(vector_exp(kInfinity) == kInfinity);
    CHECK(std::isnan(vector_exp(std::numeric_limits<float>::quiet_NaN())));
    for (const float x : {-88.0f, -95.0f, -100.0f, -103.0f}) {
      CAPTURE(x);
      const double smallest = std::numeric_limits<float>::denorm_min();
      CHECK(std::abs(vector_exp(x) - std::exp(static_cast<double>(x))) <= smallest);
    }
  }

  TEST_CASE("vector_sigmoid and its complement keep their digits where they are small") {
    double worst = 0;
    for (float x = -80.0f; x <= 80.0f; x += 0.0137f) {
      const auto [value, complement] = vector_sigmoid(x);
      const double exact = 1.0 / (1.0 + std::exp(-static_cast<double>(x)));
      const double exact_complement = 1.0 / (1.0 + std::exp(static_cast<double>(x)));
      worst = std::max(
          {worst, std::abs(value / exact - 1.0), std::abs(complement / exact_complement - 1.0)});
    }
    CHECK(worst < 3e-7);
    CHECK(vector_sigmoid(200.0f).value == 1.0f);
    CHECK(vector_sigmoid(200.0f).complement == 0.0f);
    CHECK(vector_sigmoid(-200.0f).value == 0.0f);
  }
}

}  // namespace fulgur
