#include "kernels/router.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
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
using test::relative_error;
using Vector = std::vector<double>;

struct Case {
  Case(std::int64_t T, std::int64_t E, std::int64_t k)
      : logits(random_floats({T, E}, 1, -3.0f, 3.0f)),
        p({T, E}),
        weights({T, k}),
        dweights(random_floats({T, k}, 2)),
        dprobability(random_floats({E}, 3)),
        dlogits({T, E}),
        experts({T, k}, -5),
        counts({E}, 10),
        sums({E}, 0.5) {}

  void forward() {
    router_forward({.logits = logits,
                    .probabilities = p,
                    .weights = weights,
                    .experts = experts,
                    .counts = counts,
                    .probability_sums = sums},
                   stream);
    stream.synchronize();
  }
  void backward() {
    router_backward({.dweights = dweights,
                     .dprobability = dprobability,
                     .probabilities = p,
                     .weights = weights,
                     .experts = experts,
                     .dlogits = dlogits},
                    stream);
    stream.synchronize();
  }

  Floats logits, p, weights, dweights, dprobability, dlogits;
  Ints experts, counts;
  Doubles sums;
  Stream stream{Device::kCpu};
};

Vector softmax(const Vector& logits, std::size_t E) {
  Vector p;
  for (std::size_t row = 0; row < logits.size(); row += E) {
    double sum = 0;
    for (std::size_t e = 0; e < E; ++e)
      sum += std::exp(logits[row + e]);
    for (std::size_t e = 0; e < E; ++e)
      p.push_back(std::exp(logits[row + e]) / sum);
  }
  return p;
}

// Experts by falling p, lower first on a tie: a full sort, where the kernel selects.
std::vector<std::int32_t> sorted_experts(const float* p, std::size_t E) {
  std::vector<std::int32_t> order(E);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return p[static_cast<std::size_t>(a)] > p[static_cast<std::size_t>(b)];
  });
  return order;
}

// The weights of given experts, in float64.
Vector weights_of(const Vector& p, const Ints& experts, std::size_t E) {
  const auto k = static_cast<std::size_t>(experts.dims()[1]);
  Vector weights;
  for (std::size_t i = 0; i < experts.values.size(); i += k) {
    double sum = 0;
    for (std::size_t j = i; j < i + k; ++j)
      sum += p[i / k * E + static_cast<std::size_t>(experts.values[j])];
    for (std::size_t j = i; j < i + k; ++j)
      weights.push_back(p[i / k * E + static_cast<std::size_t>(experts.values[j])] / sum);
  }
  return weights;
}

}  // namespace

TEST_SUITE("kernels/router") {
  TEST_CASE("forward equals softmax, sort and renormalise in float64, and adds up its counts") {
    for (const auto& size :
         {std::tuple{0, 4, 2}, {1, 1, 1}, {13, 4, 2}, {37, 32, 2}, {131, 11, 11}}) {
      const auto T = std::get<0>(size), E = std::get<1>(size), k = std::get<2>(size);
      CAPTURE(T);
      CAPTURE(E);
      Case c(T, E, k);
      c.forward();
      const auto num_experts = static_cast<std::size_t>(E), choices = static_cast<std::size_t>(k);
      const auto p = softmax(c.logits.doubles(), num_experts);
      CHECK(relative_error(c.p.values, p) < test::tolerance(DType::kFloat32, 1));
      Vector sums(num_experts, 0.5);
      std::vector<std::int32_t> counts(num_experts, 10), experts;
      for (std::size_t t = 0; t < static_cast<std::size_t>(T); ++t) {
        const auto order = sorted_experts(&c.p.values[t * num_experts], num_experts);
        experts.insert(experts.end(), order.begin(),
                       order.begin() + static_cast<std::ptrdiff_t>(choices));
        for (std::size_t e = 0; e < num_experts; ++e)
          sums[e] += p[t * num_experts + e];
      }
      for (const auto e : experts)
        ++counts[static_cast<std::size_t>(e)];
      CHECK(c.experts.values == experts);
      CHECK(c.counts.values == counts);
      CHECK(relative_error(c.sums.values, sums) < 1e-6);
      CHECK(relative_error(c.weights.values, weights_of(p, c.experts, num_experts)) <
            test::tolerance(DType::kFloat32, 1));
    }
  }

  TEST_CASE("on a tie the lower expert comes first") {
    Case c(2, 5, 3);
    c.logits.values = {1, 1, 1, 1, 1, 0, 2, 3, 2, 3};
    c.forward();
    CHECK(c.experts.values == std::vector<std::int32_t>{0, 1, 2, 2, 4, 1});
  }

  TEST_CASE("a shift of a token's logits changes nothing, however far") {
    Case c(7, 8, 2), shifted(7, 8, 2);
    for (auto& x : c.logits.values)
      x = std::round(x * 64) / 64;  // so that the shifted numbers are exact
    shifted.logits = c.logits;
    for (auto& x : shifted.logits.values)
      x += 1024.0f;
    c.forward();
    shifted.forward();
    CHECK(shifted.p.values == c.p.values);
    CHECK(shifted.experts.values == c.experts.values);
  }

  TEST_CASE("logits that are not numbers still choose k different experts") {
    Case c(1, 4, 3);
    c.logits.values.assign(4, std::numeric_limits<float>::quiet_NaN());
    c.forward();
    CHECK(c.experts.values == std::vector<std::int32_t>{0, 1, 2});
  }

  TEST_CASE("backward equals finite differences of the weights and probabilities") {
    for (const auto& size : {std::tuple{1, 1, 1}, {5, 4, 1}, {7, 8, 2}, {3, 5, 5}}) {
      const auto T = std::get<0>(size), E = std::get<1>(size), k = std::get<2>(size);
      CAPTURE(E);
      CAPTURE(k);
      Case c(T, E, k);
      c.forward();
      c.backward();
      auto logits = c.logits.doubles();
      const auto loss = [&] {
        const auto p = softmax(logits, static_cast<std::size_t>(E));
        double sum = test::inner_product(weights_of(p, c.experts, static_cast<std::size_t>(E)),
                                         c.dweights.doubles());
        for (std::size_t i = 0; i < p.size(); ++i)
          sum += p[i] * c.dprobability.values[i % static_cast<std::size_t>(E)];
        return sum;
      };
      CHECK(relative_error(c.dlogits.values, test::finite_differences(logits, loss)) < 2e-6);
    }
  }

  TEST_CASE("near ties take the reference's choice, and nothing else does") {
    constexpr double kGap = 1e-3;
    Case c(6, 4, 2);
    // Expert 3 first; 0 and 1 compete for the second place.
    c.p.values.clear();
    for (int t = 0; t < 6; ++t)
      c.p.values.insert(c.p.values.end(), {0.2f, 0.19f, 0.11f, 0.5f});
    c.experts.values = {3, 0, 3, 0, 3, 0, 3, 0, 3, 0, 0, 3};
    c.weights.values.assign(12, 9.0f);
    c.counts.values = {6, 0, 0, 6};
    Floats reference({6, 4});
    reference.values = {
        0.2f,    0.2001f,  0.1f, 0.5f,  // near, and 1 it is
        0.2f,    0.2003f,  0.1f, 0.5f,  // 1 by more than the gap
        0.2001f, 0.2f,     0.1f, 0.5f,  // near, but the same choice
        0.2f,    0.2f,     0.1f, 0.5f,  // a tie: the lower expert, which is the same choice
        0.5f,    0.10001f, 0.1f, 0.5f,  // near are only the places within the choice, and behind it
        0.1f,    0.40001f, 0.4f, 0.40002f  // near, in the order of the reference
    };
    Ints replayed(Shape{1}, 5);
    router_replay({.reference = reference,
                   .probabilities = c.p,
                   .weights = c.weights,
                   .experts = c.experts,
                   .counts = c.counts,
                   .replayed = replayed,
                   .gap = kGap},
                  c.stream);
    c.stream.synchronize();
    CHECK(c.experts.values == std::vector<std::int32_t>{3, 1, 3, 0, 3, 0, 3, 0, 3, 0, 3, 1});
    CHECK(c.counts.values == std::vector<std::int32_t>{4, 2, 0, 6});
    CHECK(replayed.values.front() == 7);
    // Of the run's own probabilities.
    CHECK(c.weights.values[0] == doctest::Approx(0.5 / 0.69));
    CHECK(c.weights.values[1] == doctest::Approx(0.19 / 0.69));
    CHECK(c.weights.values[10] == c.weights.values[0]);
    CHECK(c.weights.values[11] == c.weights.values[1]);
    for (std::size_t i = 2; i < 10; ++i)
      CHECK(c.weights.values[i] == 9.0f);
  }

  TEST_CASE(
      "a replay of the run's own choice changes nothing, and one of every choice is the router") {
    Case own(37, 8, 3), other(37, 8, 3);
    own.forward();
    other.logits = random_floats({37, 8}, 7, -3.0f, 3.0f);
    other.forward();
    const auto replay = [](Case& c, Floats& reference) {
      Ints replayed(Shape{1}, 0);
      router_replay({.reference = reference,
                     .probabilities = c.p,
                     .weights = c.weights,
                     .experts = c.experts,
                     .counts = c.counts,
                     .replayed = replayed,
                     .gap = 1},
                    c.stream);
      c.stream.synchronize();
      return replayed.values.front();
    };
    Case same(37, 8, 3);
    same.forward();
    CHECK(replay(same, own.p) == 0);
    CHECK(same.experts.values == own.experts.values);
    CHECK(same.weights.values == own.weights.values);
    CHECK(same.counts.values == own.counts.values);
    // With a gap of 1 every token is a near tie.
    CHECK(replay(same, other.p) > 20);
    CHECK(same.counts.values == other.counts.values);
    CHECK(relative_error(same.weights.values, weights_of(same.p.doubles(), same.experts, 8)) <
          test::tolerance(DType::kFloat32, 1));
    // Taken back, all is as it was.
    replay(same, own.p);
    CHECK(same.counts.values == own.counts.values);
  }

  TEST_CASE("wrong dims and a foreign expert are refused by name") {
    Case c(3, 4, 2), wide(3, 5, 2), many(3, 4, 5);
    CHECK_THROWS_WITH_AS(router_forward({.logits = c.logits,
                                         .probabilities = wide.p,
                                         .weights = c.weights,
                                         .experts = c.experts,
                                         .counts = c.counts,
                                         .probability_sums = c.sums},
                                        c.stream),
                         "router_forward: probabilities: expected dims [ 3 4 ], got [ 3 5 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(many.forward(),
                         "router_forward: weights: expected 1 to 4 experts per token, got 5",
                         std::invalid_argument);
    c.forward();
    c.experts.values[3] = -1;
    CHECK_THROWS_WITH_AS(c.backward(),
                         "router_backward: experts: expected a number below 4, got -1",
                         std::invalid_argument);
    Ints replayed(Shape{1}, 0);
    const auto replay = [&](Case& of) {
      router_replay({.reference = of.p,
                     .probabilities = c.p,
                     .weights = of.weights,
                     .experts = c.experts,
                     .counts = c.counts,
                     .replayed = replayed,
                     .gap = 1e-5},
                    c.stream);
      c.stream.synchronize();
    };
    CHECK_THROWS_WITH_AS(replay(c), "router_replay: experts: expected a number below 4, got -1",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(replay(wide),
                         "router_replay: probabilities: expected dims [ 3 5 ], got [ 3 4 ]",
                         std::invalid_argument);
  }
}

}  // namespace fulgur
