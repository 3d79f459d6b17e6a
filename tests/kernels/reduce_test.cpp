#include "kernels/reduce.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

#include "tests/support/host_tensor.hpp"

namespace fulgur {
namespace {

using test::Doubles;
using test::Floats;
using test::random_floats;

double sum_of(Floats& x, double start) {
  Stream stream(Device::kCpu);
  Doubles out({1}, start);
  sum_of_squares({.x = x, .out = out}, stream);
  stream.synchronize();
  return out.values[0];
}

}  // namespace

TEST_SUITE("kernels/reduce") {
  TEST_CASE("sum_of_squares adds the float64 sum to what is there, at all sizes") {
    for (const auto n : {0, 1, 7, 131, 1000003}) {
      CAPTURE(n);
      auto x = random_floats({n}, 1);
      long double expected = 5.0;
      for (const long double value : x.values)
        expected += value * value;
      CHECK(sum_of(x, 5.0) == doctest::Approx(static_cast<double>(expected)).epsilon(1e-12));
    }
  }

  TEST_CASE("a large element does not swallow a million small ones") {
    Floats x({1000001}, 1.0f);
    x.values[0] = 65536.0f;
    CHECK(sum_of(x, 0.0) == 65536.0 * 65536.0 + 1000000.0);
  }

  TEST_CASE("the order of two parts does not matter beyond the last bits") {
    auto x = random_floats({4099}, 1);
    Stream stream(Device::kCpu);
    Doubles parts({1});
    sum_of_squares({.x = x.tensor().slice(0, 1000, 3099), .out = parts}, stream);
    sum_of_squares({.x = x.tensor().slice(0, 0, 1000), .out = parts}, stream);
    stream.synchronize();
    CHECK(parts.values[0] == doctest::Approx(sum_of(x, 0.0)).epsilon(1e-14));
  }

  TEST_CASE(
      "a vector times its clip scale has at most the wanted norm, and a short one stays as it is") {
    for (const auto n : {1, 7, 131, 4099}) {
      auto x = random_floats({n}, 1);
      const double norm = std::sqrt(sum_of(x, 0.0));
      for (const double most : {0.5 * norm, 0.999 * norm, 1.001 * norm, 1e9}) {
        CAPTURE(n);
        CAPTURE(most / norm);
        Stream stream(Device::kCpu);
        Doubles squares({1}, norm * norm);
        Floats scale({1}, -1.0f);
        clip_scale({.squares = squares, .scale = scale, .most = most}, stream);
        stream.synchronize();
        const double expected = std::min(1.0, most / (norm + 1e-6));
        CHECK(scale.values[0] == static_cast<float>(expected));
        for (auto& value : x.values)
          value *= scale.values[0];
        CHECK(std::sqrt(sum_of(x, 0.0)) <= std::min(most, norm) * (1 + 1e-6));
        x = random_floats({n}, 1);
      }
    }
  }

  TEST_CASE("zero and numbers that are none are not clipped, infinity is to zero") {
    Stream stream(Device::kCpu);
    for (const auto& [squares, expected] :
         {std::pair{0.0, 1.0f}, {std::nan(""), 1.0f}, {double{INFINITY}, 0.0f}}) {
      Doubles of({1}, squares);
      Floats scale({1}, -1.0f);
      clip_scale({.squares = of, .scale = scale, .most = 0.5}, stream);
      stream.synchronize();
      CHECK(scale.values[0] == expected);
    }
    Doubles of({1});
    Floats scale({1});
    CHECK_THROWS_WITH_AS(clip_scale({.squares = of, .scale = scale, .most = 0}, stream),
                         doctest::Contains("clip_scale: most: expected a number above 0"),
                         std::invalid_argument);
  }

  TEST_CASE("wrong dims and dtypes are refused by name") {
    Stream stream(Device::kCpu);
    Floats x({2, 3}), flat({6}), out({1});
    Doubles two({2});
    CHECK_THROWS_WITH_AS(sum_of_squares({.x = x, .out = out}, stream),
                         "sum_of_squares: x: expected dims [ ? ], got [ 2 3 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(sum_of_squares({.x = flat, .out = out}, stream),
                         "sum_of_squares: out: expected dtype float64, got float32",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(sum_of_squares({.x = flat, .out = two}, stream),
                         "sum_of_squares: out: expected dims [ 1 ], got [ 2 ]",
                         std::invalid_argument);
  }
}

}  // namespace fulgur
