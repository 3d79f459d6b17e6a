#include "kernels/adamw.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "kernels/convert.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::random_floats;
using test::relative_error;

struct Case {
  explicit Case(std::int64_t n)
      : weight(random_floats({n}, 1)),
        gradient(random_floats({n}, 2)),
        m({n}),
        v({n}),
        scale({1}, 0.5f) {}

  AdamW args(std::int64_t step) {
    return {.weight = weight,
            .gradient = gradient,
            .exp_avg = m,
            .exp_avg_sq = v,
            .gradient_scale = scale,
            .learning_rate = 3e-3,
            .eps = 1e-6,
            .weight_decay = 0.1,
            .step = step};
  }
  void run(const AdamW& step) {
    adamw(step, stream);
    stream.synchronize();
  }

  Floats weight, gradient, m, v, scale;
  Stream stream{Device::kCpu};
};

// The update as the papers write it, in float64.
void oracle(std::vector<double>& w, std::vector<double>& m, std::vector<double>& v,
            const std::vector<double>& gradient, const AdamW& a) {
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double g = static_cast<double>(*a.gradient_scale.as<float>()) * gradient[i];
    m[i] = a.beta1 * m[i] + (1 - a.beta1) * g;
    v[i] = a.beta2 * v[i] + (1 - a.beta2) * g * g;
    const double m_hat = m[i] / (1 - std::pow(a.beta1, static_cast<double>(a.step)));
    const double v_hat = v[i] / (1 - std::pow(a.beta2, static_cast<double>(a.step)));
    w[i] -= a.learning_rate * a.weight_decay * w[i];
    w[i] -= a.learning_rate * m_hat / (std::sqrt(v_hat) + a.eps);
  }
}

}  // namespace

TEST_SUITE("kernels/adamw") {
  TEST_CASE("ten steps equal the formula in float64 at all sizes") {
    for (const auto n : {0, 1, 7, 131, 4099}) {
      CAPTURE(n);
      Case c(n);
      auto w = c.weight.doubles(), m = c.m.doubles(), v = c.v.doubles();
      for (std::int64_t step = 1; step <= 10; ++step) {
        c.gradient = random_floats({n}, 10 + static_cast<unsigned>(step));
        oracle(w, m, v, c.gradient.doubles(), c.args(step));
        c.run(c.args(step));
      }
      CHECK(relative_error(c.weight.values, w) < 5e-7);
      CHECK(relative_error(c.m.values, m) < 5e-7);
      CHECK(relative_error(c.v.values, v) < 5e-7);
    }
  }

  // Two steps by hand: v_hat and m_hat of the first are the gradient's square and the gradient.
  TEST_CASE("decay comes first and is not part of the moments") {
    Case c(1);
    c.weight.values = {1.0f};
    auto step = c.args(1);
    step.learning_rate = 0.1;
    step.eps = 1e-8;
    step.gradient_scale = {};
    c.gradient.values = {0.5f};
    c.run(step);
    CHECK(c.weight.values[0] ==
          doctest::Approx(0.99 - 0.1).epsilon(1e-6));  // m_hat / sqrt(v_hat) = 1
    c.gradient.values = {-0.25f};
    step.step = 2;
    c.run(step);
    const double m_hat = (0.9 * 0.05 - 0.1 * 0.25) / 0.19;
    const double v_hat = (0.95 * 0.0125 + 0.05 * 0.0625) / 0.0975;
    CHECK(c.weight.values[0] ==
          doctest::Approx(0.89 * 0.99 - 0.1 * m_hat / std::sqrt(v_hat)).epsilon(1e-6));
  }

  TEST_CASE("the gradient's scale does not change the first step when eps is 0") {
    Case c(131), scaled(131);
    auto step = c.args(1), other = scaled.args(1);
    step.eps = other.eps = 0;
    scaled.scale.values = {2.0f};
    c.run(step);
    scaled.run(other);
    CHECK(scaled.weight.values == c.weight.values);
    CHECK(scaled.gradient.values == c.gradient.values);
  }

  TEST_CASE("the gradient's scale is read when the update runs, not when it is queued") {
    Case early(131), late(131);
    late.scale.values = {7.0f};
    late.stream.run([&] { late.scale.values = {0.5f}; });
    late.run(late.args(1));
    early.run(early.args(1));
    CHECK(late.weight.values == early.weight.values);
  }

  TEST_CASE("a buffer updated in two parts has the bits of one update") {
    Case whole(131), parts(131);
    whole.run(whole.args(3));
    for (const auto& size : {std::pair{0, 50}, {50, 81}}) {
      const auto first = size.first, count = size.second;
      auto part = parts.args(3);
      for (auto* tensor : {&part.weight, &part.gradient, &part.exp_avg, &part.exp_avg_sq})
        *tensor = tensor->slice(0, first, count);
      parts.run(part);
    }
    CHECK(parts.weight.values == whole.weight.values);
    CHECK(parts.v.values == whole.v.values);
  }

  TEST_CASE("wrong dims, steps and betas are refused by name") {
    Case c(3);
    auto wrong = c.args(1);
    Floats four({4});
    wrong.exp_avg_sq = four;
    CHECK_THROWS_WITH_AS(adamw(wrong, c.stream),
                         "adamw: exp_avg_sq: expected dims [ 3 ], got [ 4 ]",
                         std::invalid_argument);
    auto two_scales = c.args(1);
    two_scales.gradient_scale = four;
    CHECK_THROWS_WITH_AS(adamw(two_scales, c.stream),
                         "adamw: gradient_scale: expected dims [ 1 ], got [ 4 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(adamw(c.args(0), c.stream), "adamw: step: expected a number from 1, got 0",
                         std::invalid_argument);
    auto beta = c.args(1);
    beta.beta2 = 1.0;
    CHECK_THROWS_WITH_AS(adamw(beta, c.stream),
                         "adamw: beta2: expected a number in [0, 1), got 1.000000",
                         std::invalid_argument);
  }

  TEST_CASE("a copy receives the new weights, rounded to bfloat16") {
    Case tested(37);
    test::HostTensor<std::uint16_t> copy({37}), expected({37});
    auto args = tested.args(1);
    args.copy = copy;
    tested.run(args);
    convert({.x = tested.weight, .y = expected}, tested.stream);
    tested.stream.synchronize();
    CHECK(copy.values == expected.values);
    CHECK(copy.values[5] != 0);
  }
}

}  // namespace fulgur
