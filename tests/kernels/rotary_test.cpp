#include "kernels/rotary.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "tests/support/host_tensor.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

struct Case {
  std::int64_t T = 9, H = 3, d = 10, rotary_dim = 6;
  test::Floats x = test::random_floats({T, H, d}, 1);
  test::Ints positions{{T}, std::vector<std::int32_t>{0, 1, 2, 3, 0, 63, 64, 1000003, 65}};

  Rotary args(RotaryDirection direction = RotaryDirection::kForward) {
    return {.x = x,
            .positions = positions,
            .rotary_dim = rotary_dim,
            .base = 10000.0,
            .direction = direction};
  }
};

std::vector<double> oracle(const Case& c) {
  auto x = c.x.doubles();
  const auto half = c.rotary_dim / 2;
  for (std::int64_t t = 0; t < c.T; ++t)
    for (std::int64_t h = 0; h < c.H; ++h)
      for (std::int64_t j = 0; j < half; ++j) {
        const double angle =
            c.positions.values[static_cast<std::size_t>(t)] *
            std::pow(10000.0, -2.0 * static_cast<double>(j) / static_cast<double>(c.rotary_dim));
        auto& a = x[static_cast<std::size_t>((t * c.H + h) * c.d + j)];
        auto& b = x[static_cast<std::size_t>((t * c.H + h) * c.d + j + half)];
        const double turned = a * std::cos(angle) - b * std::sin(angle);
        b = a * std::sin(angle) + b * std::cos(angle);
        a = turned;
      }
  return x;
}

}  // namespace

TEST_SUITE("kernels/rotary") {
  TEST_CASE("pairs are turned by their position's angle, also far out") {
    Case c;
    const auto expected = oracle(c);
    Stream stream(Device::kCpu);
    rotary(c.args(), stream);
    stream.synchronize();
    CHECK(test::relative_error(c.x.values, expected) < test::tolerance(DType::kFloat32, 2));
  }

  TEST_CASE("dims behind rotary_dim keep their bits") {
    Case c;
    const auto before = c.x.values;
    Stream stream(Device::kCpu);
    rotary(c.args(), stream);
    stream.synchronize();
    for (std::size_t row = 0; row < 27; ++row)
      for (std::size_t j = 6; j < 10; ++j)
        CHECK(c.x.values[row * 10 + j] == before[row * 10 + j]);
  }

  TEST_CASE("the inverse turns back, and is the transpose") {
    Case c, g;
    g.x = test::random_floats({g.T, g.H, g.d}, 2);
    const auto x = c.x.doubles(), gradient = g.x.doubles();
    Stream stream(Device::kCpu);
    rotary(c.args(), stream);
    rotary(g.args(RotaryDirection::kInverse), stream);
    stream.synchronize();
    double forward = 0, backward = 0;  // <R x, g> and <x, R^T g>
    for (std::size_t i = 0; i < x.size(); ++i) {
      forward += static_cast<double>(c.x.values[i]) * gradient[i];
      backward += x[i] * static_cast<double>(g.x.values[i]);
    }
    CHECK(forward == doctest::Approx(backward).epsilon(1e-6));
    rotary(c.args(RotaryDirection::kInverse), stream);
    stream.synchronize();
    CHECK(test::relative_error(c.x.values, x) < test::tolerance(DType::kFloat32, 4));
  }

  TEST_CASE("the inner product of two turned vectors depends on the distance alone") {
    Stream stream(Device::kCpu);
    const auto base = test::random_floats({1, 1, 16}, 3),
               other = test::random_floats({1, 1, 16}, 4);
    const auto product = [&](std::int32_t a, std::int32_t b) {
      test::Floats x({2, 1, 16});
      std::copy(base.values.begin(), base.values.end(), x.values.begin());
      std::copy(other.values.begin(), other.values.end(), x.values.begin() + 16);
      test::Ints positions({2}, std::vector<std::int32_t>{a, b});
      rotary({.x = x, .positions = positions, .rotary_dim = 16}, stream);
      stream.synchronize();
      double sum = 0;
      for (std::size_t i = 0; i < 16; ++i)
        sum += static_cast<double>(x.values[i]) * static_cast<double>(x.values[16 + i]);
      return sum;
    };
    CHECK(product(5, 2) == doctest::Approx(product(1005, 1002)).epsilon(1e-5));
    CHECK(product(5, 2) != doctest::Approx(product(5, 3)).epsilon(1e-3));
  }

  TEST_CASE("strided heads are turned as dense ones, and what lies between stays") {
    Case dense, strided;
    test::Floats wide({9, 5, 10});
    wide.values.assign(wide.values.size(), 7.0f);
    const auto part = wide.tensor().slice(1, 1, 3);
    Stream stream(Device::kCpu);
    for (std::int64_t t = 0; t < 9; ++t)
      for (std::int64_t i = 0; i < 30; ++i)
        part.as<float>()[t * 50 + i] = dense.x.values[static_cast<std::size_t>(t * 30 + i)];
    auto args = strided.args();
    args.x = part;
    rotary(dense.args(), stream);
    rotary(args, stream);
    stream.synchronize();
    for (std::size_t t = 0; t < 9; ++t)
      for (std::size_t i = 0; i < 50; ++i) {
        const bool inside = i >= 10 && i < 40;
        CHECK(wide.values[t * 50 + i] == (inside ? dense.x.values[t * 30 + i - 10] : 7.0f));
      }
  }

  TEST_CASE("no tokens and no rotated dims are nothing to do") {
    Stream stream(Device::kCpu);
    test::Floats x({0, 2, 4});
    test::Ints positions(Shape{0});
    CHECK_NOTHROW(rotary({.x = x, .positions = positions, .rotary_dim = 4}, stream));
    Case c;
    c.rotary_dim = 0;
    const auto before = c.x.values;
    rotary(c.args(), stream);
    stream.synchronize();
    CHECK(c.x.values == before);
  }

  TEST_CASE("a wrong dim is refused by name") {
    Stream stream(Device::kCpu);
    Case c;
    c.positions = test::Ints(Shape{8});
    CHECK_THROWS_WITH_AS(rotary(c.args(), stream),
                         "rotary: positions: expected dims [ 9 ], got [ 8 ]",
                         std::invalid_argument);
    Case odd;
    for (const std::int64_t wrong : {5, 12, -2}) {
      odd.rotary_dim = wrong;
      CHECK_THROWS_AS(rotary(odd.args(), stream), std::invalid_argument);
    }
  }
}

}  // namespace fulgur
