#include "kernels/activation.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>

#include "tests/support/finite_differences.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::random_floats;
using test::relative_error;
using Vector = std::vector<double>;

const double kBound = test::tolerance(DType::kFloat32, 1);
constexpr std::int64_t kSizes[] = {0, 1, 7, 131, 4099};

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

Vector map(const Vector& x, const std::function<double(double)>& f) {
  Vector y;
  for (const double value : x)
    y.push_back(f(value));
  return y;
}

Vector silu(const Vector& x) {
  return map(x, [](double v) { return v * sigmoid(v); });
}

Vector gated(const Vector& gate, const Vector& x) {
  Vector y;
  for (std::size_t i = 0; i < x.size(); ++i)
    y.push_back(sigmoid(gate[i]) * x[i]);
  return y;
}

Vector swiglu(const Vector& x, std::size_t F) {
  Vector y;
  for (std::size_t i = 0; i < x.size(); i += (i + 1) % F == 0 ? F + 1 : 1)
    y.push_back(x[i] * sigmoid(x[i]) * x[i + F]);
  return y;
}

}  // namespace

TEST_SUITE("kernels/activation") {
  TEST_CASE("silu equals the formula in float64 and its gradient the finite differences") {
    Stream stream(Device::kCpu);
    for (const auto n : kSizes) {
      CAPTURE(n);
      auto x = random_floats({n}, 1, -12.0f, 12.0f), dy = random_floats({n}, 2);
      Floats y({n}), dx({n});
      silu_forward({.x = x, .y = y}, stream);
      silu_backward({.dy = dy, .x = x, .dx = dx}, stream);
      stream.synchronize();
      CHECK(relative_error(y.values, silu(x.doubles())) < kBound);
      Vector slopes;  // central differences, each element alone
      for (std::size_t i = 0; i < x.values.size(); ++i) {
        const double at = x.values[i], step = 1e-5;
        slopes.push_back(dy.values[i] * (silu({at + step})[0] - silu({at - step})[0]) / (2 * step));
      }
      CHECK(relative_error(dx.values, slopes) < 1e-6);
    }
  }

  TEST_CASE("silu minus silu of the negative is x") {
    Stream stream(Device::kCpu);
    auto x = random_floats({1009}, 1, -30.0f, 30.0f), negative = x;
    for (auto& value : negative.values)
      value = -value;
    const auto expected = x.doubles();
    silu_forward({.x = x, .y = x}, stream);
    silu_forward({.x = negative, .y = negative}, stream);
    scaled_add({.a = x, .b = negative, .y = x, .beta = -1.0f}, stream);
    stream.synchronize();
    CHECK(relative_error(x.values, expected) < kBound);
  }

  TEST_CASE("swiglu equals the formula in float64 and its gradient the finite differences") {
    Stream stream(Device::kCpu);
    for (const auto& size : {std::pair{0, 5}, {3, 0}, {1, 1}, {3, 7}, {7, 29}}) {
      const auto M = size.first, F = size.second;
      CAPTURE(M);
      CAPTURE(F);
      auto x = random_floats({M, 2, F}, 1, -4.0f, 4.0f), dy = random_floats({M, F}, 2);
      auto exact = x.doubles();
      Floats y({M, F}), dx({M, 2, F});
      swiglu_forward({.x = x, .y = y}, stream);
      swiglu_backward({.dy = dy, .x = x, .dx = dx}, stream);
      swiglu_backward({.dy = dy, .x = x, .dx = x}, stream);
      stream.synchronize();
      CHECK(relative_error(y.values, swiglu(exact, static_cast<std::size_t>(F))) < kBound);
      const auto loss = [&] {
        return test::inner_product(swiglu(exact, static_cast<std::size_t>(F)), dy.doubles());
      };
      CHECK(relative_error(dx.values, test::finite_differences(exact, loss)) < 1e-6);
      CHECK(x.values == dx.values);  // in place
    }
  }

  TEST_CASE("the sigmoid gate equals the formula and its gradients the finite differences") {
    Stream stream(Device::kCpu);
    for (const auto n : {0, 1, 7, 131}) {
      CAPTURE(n);
      auto gate = random_floats({n}, 1, -6.0f, 6.0f), x = random_floats({n}, 2);
      auto dy = random_floats({n}, 3);
      Floats y({n}), dgate({n}), dx({n});
      sigmoid_gate_forward({.gate = gate, .x = x, .y = y}, stream);
      sigmoid_gate_backward({.dy = dy, .gate = gate, .x = x, .dgate = dgate, .dx = dx}, stream);
      stream.synchronize();
      auto exact_gate = gate.doubles(), exact_x = x.doubles();
      CHECK(relative_error(y.values, gated(exact_gate, exact_x)) < kBound);
      const auto loss = [&] {
        return test::inner_product(gated(exact_gate, exact_x), dy.doubles());
      };
      CHECK(relative_error(dgate.values, test::finite_differences(exact_gate, loss)) < 1e-6);
      CHECK(relative_error(dx.values, test::finite_differences(exact_x, loss)) < 1e-6);
    }
  }

  TEST_CASE("the sigmoid gate's gradients may take the place of its inputs") {
    Stream stream(Device::kCpu);
    auto gate = random_floats({67}, 1), x = random_floats({67}, 2), dy = random_floats({67}, 3);
    Floats dgate({67}), dx({67});
    sigmoid_gate_backward({.dy = dy, .gate = gate, .x = x, .dgate = dgate, .dx = dx}, stream);
    sigmoid_gate_backward({.dy = dy, .gate = gate, .x = x, .dgate = gate, .dx = dy}, stream);
    stream.synchronize();
    CHECK(gate.values == dgate.values);
    CHECK(dy.values == dx.values);
  }

  TEST_CASE("scaled_add and scale are linear, and beta = 0 reads nothing of b") {
    Stream stream(Device::kCpu);
    auto a = random_floats({131}, 1), b = random_floats({131}, 2);
    Floats y({131}), scaled = a;
    Floats nans({131}, std::numeric_limits<float>::quiet_NaN());
    scaled_add({.a = a, .b = b, .y = y, .alpha = 3.5f, .beta = -0.25f}, stream);
    scaled_add({.a = a, .b = nans, .y = nans, .alpha = 0.5f, .beta = 0.0f}, stream);
    scale(scaled, 0.5f, stream);
    stream.synchronize();
    Vector expected;
    for (std::size_t i = 0; i < 131; ++i)
      expected.push_back(3.5 * a.values[i] - 0.25 * b.values[i]);
    CHECK(relative_error(y.values, expected) < kBound);
    CHECK(scaled.values == nans.values);
    CHECK(scaled.values[7] == 0.5f * a.values[7]);
  }

  TEST_CASE("wrong dims and dtypes are refused by name") {
    Stream stream(Device::kCpu);
    Floats six({6}), seven({7}), rows({2, 3}), pairs({2, 2, 3});
    test::Ints ints({6});
    CHECK_THROWS_WITH_AS(silu_forward({.x = six, .y = seven}, stream),
                         "silu_forward: y: expected dims [ 6 ], got [ 7 ]", std::invalid_argument);
    CHECK_THROWS_WITH_AS(silu_backward({.dy = ints, .x = six, .dx = six}, stream),
                         "silu_backward: dy: expected dtype float32, got int32",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(swiglu_forward({.x = rows, .y = rows}, stream),
                         "swiglu_forward: x: expected dims [ ? 2 ? ], got [ 2 3 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(swiglu_backward({.dy = six, .x = pairs, .dx = pairs}, stream),
                         "swiglu_backward: dy: expected dims [ 2 3 ], got [ 6 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(sigmoid_gate_forward({.gate = six, .x = seven, .y = six}, stream),
                         "sigmoid_gate_forward: x: expected dims [ 6 ], got [ 7 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(scaled_add({.a = six, .b = six, .y = seven}, stream),
                         "scaled_add: y: expected dims [ 6 ], got [ 7 ]", std::invalid_argument);
    CHECK_THROWS_AS(scale(ints, 2.0f, stream), std::invalid_argument);
  }
}

}  // namespace fulgur
