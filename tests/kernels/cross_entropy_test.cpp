#include "kernels/cross_entropy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

#include "tests/support/finite_differences.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Doubles;
using test::Floats;
using test::Ints;
using test::random_floats;
using test::random_ints;
using test::relative_error;
using Vector = std::vector<double>;

double log_sum_exp(const double* row, std::size_t V) {
  const double largest = *std::max_element(row, row + V);
  double sum = 0;
  for (std::size_t v = 0; v < V; ++v)
    sum += std::exp(row[v] - largest);
  return largest + std::log(sum);
}

double loss_of(const Vector& logits, const Ints& labels) {
  const auto V = logits.size() / labels.values.size();
  double loss = 0;
  for (std::size_t t = 0; t < labels.values.size(); ++t) {
    if (labels.values[t] == kIgnoredLabel) continue;
    loss +=
        log_sum_exp(&logits[t * V], V) - logits[t * V + static_cast<std::size_t>(labels.values[t])];
  }
  return loss;
}

struct Case {
  Case(std::int64_t T, std::int64_t V, float range = 8.0f)
      : logits(random_floats({T, V}, 1, -range, range)),
        labels(random_ints({T}, 2, kIgnoredLabel, static_cast<std::int32_t>(V - 1))),
        lse({T}),
        target({T}),
        loss({1}) {}

  void forward() {
    cross_entropy_forward({.logits = logits, .labels = labels, .lse = lse, .target = target},
                          stream);
    cross_entropy_loss({.lse = lse, .target = target, .labels = labels, .loss = loss}, stream);
    stream.synchronize();
  }

  Floats logits;
  Ints labels;
  Floats lse, target;
  Doubles loss;
  Stream stream{Device::kCpu};
};

}  // namespace

TEST_SUITE("kernels/cross_entropy") {
  TEST_CASE("lse, target and loss equal the formula in float64 at all sizes") {
    for (const auto& size : {std::pair{0, 5}, {1, 1}, {7, 3}, {31, 131}, {3, 50021}}) {
      const auto T = size.first, V = size.second;
      CAPTURE(T);
      CAPTURE(V);
      Case c(T, V);
      c.forward();
      const auto exact = c.logits.doubles();
      const auto columns = static_cast<std::size_t>(V);
      Vector lse, target;
      for (std::size_t t = 0; t < c.lse.values.size(); ++t) {
        const auto label = c.labels.values[t];
        lse.push_back(log_sum_exp(&exact[t * columns], columns));
        target.push_back(label < 0 ? 0 : exact[t * columns + static_cast<std::size_t>(label)]);
      }
      CHECK(relative_error(c.lse.values, lse) < test::tolerance(DType::kFloat32, 1));
      CHECK(relative_error(c.target.values, target) == 0);
      if (T > 0) {
        CHECK(std::abs(c.loss.values[0] - loss_of(exact, c.labels)) < 1e-6 * T);
      }
    }
  }

  TEST_CASE("logits far from zero neither overflow nor lose the loss") {
    Case c(2, 67);
    for (auto& x : c.logits.values)
      x += c.logits.values.data() + 67 > &x ? 80000.0f : -80000.0f;
    c.forward();
    CHECK(c.loss.values[0] == doctest::Approx(loss_of(c.logits.doubles(), c.labels)).epsilon(1e-2));
    CHECK(std::isfinite(c.lse.values[1]));
  }

  TEST_CASE("a vocabulary cut into parts combines to the whole one, forward and backward") {
    Case c(11, 97);
    c.forward();
    Vector combined(11), targets(11);
    Floats gradient({11, 97});
    for (const auto& part_size : {std::pair{0, 40}, {40, 1}, {41, 56}}) {
      const auto first = part_size.first, size = part_size.second;
      Floats part({11, size});
      for (std::size_t i = 0; i < part.values.size(); ++i) {
        const auto V = static_cast<std::size_t>(size);
        part.values[i] = c.logits.values[i / V * 97 + static_cast<std::size_t>(first) + i % V];
      }
      Floats lse({11}), target({11});
      cross_entropy_forward(
          {.logits = part, .labels = c.labels, .lse = lse, .target = target, .first_id = first},
          c.stream);
      cross_entropy_backward(
          {.logits = part, .labels = c.labels, .lse = c.lse, .scale = 0.5f, .first_id = first},
          c.stream);
      c.stream.synchronize();
      for (std::size_t t = 0; t < 11; ++t) {
        combined[t] += std::exp(static_cast<double>(lse.values[t]));
        targets[t] += target.values[t];
        for (std::size_t v = 0; v < static_cast<std::size_t>(size); ++v)
          gradient.values[t * 97 + static_cast<std::size_t>(first) + v] =
              part.values[t * static_cast<std::size_t>(size) + v];
      }
    }
    for (auto& x : combined)
      x = std::log(x);
    CHECK(relative_error(c.lse.values, combined) < 1e-6);
    CHECK(relative_error(c.target.values, targets) == 0);
    cross_entropy_backward({.logits = c.logits, .labels = c.labels, .lse = c.lse, .scale = 0.5f},
                           c.stream);
    c.stream.synchronize();
    CHECK(c.logits.values == gradient.values);
  }

  TEST_CASE("the lse of a whole vocabulary is that of its parts' lse, also far from zero") {
    for (const float shift : {0.0f, 80000.0f, -80000.0f}) {
      auto parts = test::random_floats({3, 7}, 5, shift - 4, shift + 4);
      Floats lse({7});
      Stream stream(Device::kCpu);
      combine_lse({.parts = parts, .lse = lse}, stream);
      stream.synchronize();
      for (std::size_t t = 0; t < 7; ++t) {
        const Vector column = {parts.values[t], parts.values[7 + t], parts.values[14 + t]};
        CHECK(lse.values[t] == doctest::Approx(log_sum_exp(column.data(), 3)).epsilon(1e-6));
      }
    }
  }

  TEST_CASE("backward equals finite differences of scale times the loss") {
    for (const auto& size : {std::pair{1, 1}, {7, 3}, {13, 31}}) {
      const auto T = size.first, V = size.second;
      CAPTURE(V);
      Case c(T, V, 3.0f);
      c.labels.values[0] = 0;
      auto exact = c.logits.doubles();
      const auto expected =
          test::finite_differences(exact, [&] { return 0.25 * loss_of(exact, c.labels); });
      c.forward();
      cross_entropy_backward({.logits = c.logits, .labels = c.labels, .lse = c.lse, .scale = 0.25f},
                             c.stream);
      c.stream.synchronize();
      CHECK(relative_error(c.logits.values, expected) < 2e-6);
    }
  }

  TEST_CASE("ignored labels give no loss and rows of zeros, and the loss is added up") {
    Case c(5, 9);
    c.labels.values = {kIgnoredLabel, 3, kIgnoredLabel, 0, 8};
    c.loss.values[0] = 100.0;
    c.forward();
    CHECK(c.loss.values[0] == doctest::Approx(100.0 + loss_of(c.logits.doubles(), c.labels)));
    cross_entropy_backward({.logits = c.logits, .labels = c.labels, .lse = c.lse}, c.stream);
    c.stream.synchronize();
    for (std::size_t t = 0; t < 5; ++t) {
      CAPTURE(t);
      const auto row = c.logits.values.begin() + static_cast<std::ptrdiff_t>(t * 9);
      const auto zeros = std::count(row, row + 9, 0.0f);
      CHECK(zeros == (c.labels.values[t] == kIgnoredLabel ? 9 : 0));
    }
  }

  TEST_CASE("wrong dims and an empty vocabulary are refused by name") {
    Case c(4, 5);
    Floats five({5}), no_columns({4, 0});
    CHECK_THROWS_WITH_AS(
        cross_entropy_forward(
            {.logits = c.logits, .labels = c.labels, .lse = five, .target = c.target}, c.stream),
        "cross_entropy_forward: lse: expected dims [ 4 ], got [ 5 ]", std::invalid_argument);
    CHECK_THROWS_WITH_AS(
        cross_entropy_backward({.logits = no_columns, .labels = c.labels, .lse = c.lse}, c.stream),
        "cross_entropy_backward: logits: expected at least one column, got [ 4 0 ]",
        std::invalid_argument);
    CHECK_THROWS_WITH_AS(
        cross_entropy_loss({.lse = c.lse, .target = c.target, .labels = c.labels, .loss = five},
                           c.stream),
        "cross_entropy_loss: loss: expected dims [ 1 ], got [ 5 ]", std::invalid_argument);
  }
}

}  // namespace fulgur
