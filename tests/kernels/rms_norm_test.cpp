#include "kernels/rms_norm.hpp"

#include <doctest/doctest.h>

#include <deque>
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

Vector oracle(const Vector& x, const Vector& weight, double eps) {
  const auto C = weight.size();
  Vector y(x.size());
  for (std::size_t row = 0; row < x.size(); row += C) {
    double sum = 0;
    for (std::size_t c = 0; c < C; ++c)
      sum += x[row + c] * x[row + c];
    const double rstd = 1.0 / std::sqrt(sum / static_cast<double>(C) + eps);
    for (std::size_t c = 0; c < C; ++c)
      y[row + c] = x[row + c] * rstd * weight[c];
  }
  return y;
}

struct Case {
  Case(std::int64_t T, std::int64_t C)
      : x(random_floats({T, C}, 1)),
        weight(random_floats({C}, 2, 0.5f, 1.5f)),
        dy(random_floats({T, C}, 3)),
        y({T, C}),
        rstd({T}),
        dx({T, C}),
        dweight({C}) {}

  void forward() {
    rms_norm_forward({.x = x, .weight = weight, .y = y, .rstd = rstd, .eps = kEps}, stream);
    stream.synchronize();
  }
  void backward() {
    rms_norm_backward(
        {.dy = dy, .x = x, .weight = weight, .rstd = rstd, .dx = dx, .dweight = dweight}, stream);
    stream.synchronize();
  }

  static constexpr float kEps = 1e-3f;
  Floats x, weight, dy, y, rstd, dx, dweight;
  Stream stream{Device::kCpu};
};

}  // namespace

TEST_SUITE("kernels/rms_norm") {
  TEST_CASE("forward equals the formula in float64 at all sizes") {
    for (const auto& size : {std::pair{0, 8}, {1, 1}, {3, 7}, {13, 131}, {5, 6144}}) {
      const auto T = size.first, C = size.second;
      CAPTURE(T);
      CAPTURE(C);
      Case c(T, C);
      c.forward();
      const auto expected = oracle(c.x.doubles(), c.weight.doubles(), Case::kEps);
      CHECK(relative_error(c.y.values, expected) < test::tolerance(DType::kFloat32, 1));
    }
  }

  TEST_CASE("scaling a row scales nothing but rstd when eps is small") {
    Case c(4, 96), scaled(4, 96);
    for (auto& x : scaled.x.values)
      x *= 1024.0f;
    for (auto* each : {&c, &scaled})
      rms_norm_forward(
          {.x = each->x, .weight = each->weight, .y = each->y, .rstd = each->rstd, .eps = 1e-20f},
          c.stream);
    c.stream.synchronize();
    CHECK(scaled.y.values == c.y.values);
    CHECK(scaled.rstd.values[0] * 1024.0f == c.rstd.values[0]);
  }

  TEST_CASE("backward equals finite differences of the formula") {
    for (const auto& size : {std::pair{1, 1}, {3, 7}, {5, 37}}) {
      const auto T = size.first, C = size.second;
      CAPTURE(C);
      Case c(T, C);
      c.forward();
      c.backward();
      auto x = c.x.doubles(), weight = c.weight.doubles();
      const auto dy = c.dy.doubles();
      const auto loss = [&] { return test::inner_product(oracle(x, weight, Case::kEps), dy); };
      CHECK(relative_error(c.dx.values, test::finite_differences(x, loss)) < 2e-6);
      CHECK(relative_error(c.dweight.values, test::finite_differences(weight, loss)) < 1e-6);
    }
  }

  TEST_CASE("backward adds to dweight and may write dx over dy") {
    Case c(29, 67), in_place(29, 67);
    c.forward();
    in_place.forward();
    c.backward();
    const auto once = c.dweight.values;
    c.backward();
    for (std::size_t i = 0; i < once.size(); ++i)
      CHECK(c.dweight.values[i] == 2 * once[i]);
    rms_norm_backward({.dy = in_place.dy,
                       .x = in_place.x,
                       .weight = in_place.weight,
                       .rstd = in_place.rstd,
                       .dx = in_place.dy,
                       .dweight = in_place.dweight},
                      c.stream);
    c.stream.synchronize();
    CHECK(in_place.dy.values == c.dx.values);
  }

  TEST_CASE("rows cut into parts are normed as whole ones when their sums are added up") {
    constexpr std::int64_t T = 5, C = 24, kParts = 3, kPart = C / kParts;
    Case whole(T, C);
    whole.forward();
    whole.backward();
    std::deque<Case> parts;
    for (std::int64_t p = 0; p < kParts; ++p)
      parts.emplace_back(T, kPart);
    test::Doubles squares({T}), dots({T}), sums({T});
    const auto add = [&](test::Doubles& total) {
      whole.stream.synchronize();
      for (std::size_t t = 0; t < total.values.size(); ++t)
        total.values[t] += sums.values[t];
    };
    const auto column = [&](std::size_t p, std::size_t i) {
      return i / kPart * C + p * kPart + i % kPart;
    };
    for (std::size_t p = 0; p < kParts; ++p) {
      auto& part = parts[p];
      for (std::size_t i = 0; i < part.x.values.size(); ++i) {
        part.x.values[i] = whole.x.values[column(p, i)];
        part.dy.values[i] = whole.dy.values[column(p, i)];
      }
      for (std::size_t c = 0; c < kPart; ++c)
        part.weight.values[c] = whole.weight.values[p * kPart + c];
      rms_norm_squares({.x = part.x, .sums = sums}, whole.stream);
      add(squares);
      rms_norm_dots({.dy = part.dy, .x = part.x, .weight = part.weight, .sums = sums},
                    whole.stream);
      add(dots);
    }
    for (std::size_t p = 0; p < kParts; ++p) {
      auto& part = parts[p];
      rms_norm_forward({.x = part.x,
                        .weight = part.weight,
                        .y = part.y,
                        .rstd = part.rstd,
                        .eps = Case::kEps,
                        .parts = {.sums = squares, .width = C}},
                       whole.stream);
      rms_norm_backward({.dy = part.dy,
                         .x = part.x,
                         .weight = part.weight,
                         .rstd = part.rstd,
                         .dx = part.dx,
                         .dweight = part.dweight,
                         .parts = {.sums = dots, .width = C}},
                        whole.stream);
      whole.stream.synchronize();
      for (std::size_t i = 0; i < part.x.values.size(); ++i) {
        CHECK(part.y.values[i] == doctest::Approx(whole.y.values[column(p, i)]).epsilon(1e-6));
        CHECK(part.dx.values[i] == doctest::Approx(whole.dx.values[column(p, i)]).epsilon(1e-5));
      }
    }
  }

  TEST_CASE("wrong dims are refused by name") {
    Case c(2, 3);
    Floats wide({2, 4}), three({3});
    CHECK_THROWS_WITH_AS(
        rms_norm_forward({.x = c.x, .weight = c.weight, .y = wide, .rstd = c.rstd}, c.stream),
        "rms_norm_forward: y: expected dims [ 2 3 ], got [ 2 4 ]", std::invalid_argument);
    CHECK_THROWS_WITH_AS(rms_norm_backward({.dy = c.dy,
                                            .x = c.x,
                                            .weight = c.weight,
                                            .rstd = three,
                                            .dx = c.dx,
                                            .dweight = c.dweight},
                                           c.stream),
                         "rms_norm_backward: rstd: expected dims [ 2 ], got [ 3 ]",
                         std::invalid_argument);
  }
}

}  // namespace fulgur
