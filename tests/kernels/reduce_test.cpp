#include "kernels/reduce.hpp"

#include <doctest/doctest.h>

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
