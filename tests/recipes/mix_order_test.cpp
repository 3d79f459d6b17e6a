#include "recipes/mix_order.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <stdexcept>

namespace fulgur {
namespace {

std::int64_t sum(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

// The samples that a source should have had among the first n.
double target(const Shares& begin, const Shares& end, double transition, std::size_t source,
              double n) {
  const double from = static_cast<double>(begin[source]) / static_cast<double>(kWholeMix);
  const double to = static_cast<double>(end[source]) / static_cast<double>(kWholeMix);
  const double inside = std::min(n, transition);
  const double line = transition > 0 ? (to - from) * inside * inside / (2 * transition) : 0;
  return from * inside + line + to * (n - inside);
}

// Goes through the first `n` samples one by one and holds all that the header says against them.
void check_order(const Shares& begin, const Shares& end, std::int64_t transition, std::int64_t n) {
  const MixOrder order(begin, end, transition);
  std::vector<std::int64_t> seen(begin.size(), 0);
  double worst = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    REQUIRE(order.counts(i) == seen);
    const auto [source, index] = order.sample(i);
    REQUIRE(index == seen[source]);
    ++seen[source];
    for (std::size_t each = 0; each < seen.size(); ++each)
      worst = std::max(worst, std::abs(static_cast<double>(seen[each]) -
                                       target(begin, end, static_cast<double>(transition), each,
                                              static_cast<double>(i + 1))));
  }
  CHECK(worst <= static_cast<double>(begin.size()) / 2 + 1);
}

TEST_SUITE("recipes/mix_order") {
  TEST_CASE("shares add up exactly, whatever the weights") {
    std::mt19937 engine(3);
    std::uniform_real_distribution<double> weight(0, 1);
    for (int round = 0; round < 200; ++round) {
      std::vector<double> weights;
      for (int i = 0; i <= round % 40; ++i)
        weights.push_back(i % 3 == 2 ? 0 : std::pow(weight(engine), 9));
      weights.front() += 1e-9;
      const auto shares = shares_of(weights);
      CHECK(sum(shares) == kWholeMix);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        CHECK((shares[i] > 0) == (weights[i] > 0));
        const double exact = weights[i] / std::accumulate(weights.begin(), weights.end(), 0.0) *
                             static_cast<double>(kWholeMix);
        CHECK(std::abs(static_cast<double>(shares[i]) - exact) <= 40);
      }
    }
    CHECK(shares_of(std::vector<double>{1, 3}) == Shares{kWholeMix / 4, 3 * kWholeMix / 4});
    CHECK(shares_of(std::vector<double>{1e300, 1e-300}) == Shares{kWholeMix - 1, 1});
  }

  TEST_CASE("weights that are no mix are refused") {
    for (const std::vector<double>& weights :
         {std::vector<double>{}, {0, 0}, {1, -1}, {std::nan("")}, {HUGE_VAL}, {1e308, 1e308}})
      CHECK_THROWS_AS(shares_of(weights), std::invalid_argument);
    CHECK_THROWS_AS(MixOrder({1, 2}), std::invalid_argument);
    CHECK_THROWS_AS(MixOrder({kWholeMix + 1, -1}), std::invalid_argument);
    CHECK_THROWS_AS(MixOrder({kWholeMix}, {kWholeMix, 0}, 5), std::invalid_argument);
    CHECK_THROWS_AS(MixOrder({kWholeMix}).counts(-1), std::invalid_argument);
  }

  TEST_CASE("two equal sources take turns, and one of three quarters has three of four") {
    const MixOrder even(shares_of(std::vector<double>{1, 1}));
    const MixOrder uneven(shares_of(std::vector<double>{1, 3}));
    for (std::int64_t n = 0; n < 40; n += 4) {
      CHECK(even.counts(n) == std::vector<std::int64_t>{n / 2, n / 2});
      CHECK(even.sample(n).source != even.sample(n + 1).source);
      CHECK(uneven.counts(n) == std::vector<std::int64_t>{n / 4, 3 * n / 4});
    }
  }

  TEST_CASE("every sample has one place, and every source its share at any time") {
    const auto shares = [](std::vector<double> weights) { return shares_of(weights); };
    check_order(shares({1}), shares({1}), 0, 300);
    check_order(shares({0.3, 0.7, 0}), shares({0.3, 0.7, 0}), 0, 3000);
    check_order(shares({1, 2, 3, 5, 8, 13, 21}), shares({1, 2, 3, 5, 8, 13, 21}), 0, 3000);
    check_order(shares({1e-6, 1e-3, 1}), shares({1e-6, 1e-3, 1}), 0, 5000);
    check_order(shares({1, 1, 1, 1, 1, 1}), shares({1, 1, 1, 1, 1, 1}), 0, 600);
  }

  TEST_CASE("the same while shares change, and behind that") {
    const auto shares = [](std::vector<double> weights) { return shares_of(weights); };
    check_order(shares({1, 0}), shares({0, 1}), 1000, 2000);
    check_order(shares({0.3, 0.7, 0}), shares({0.35, 0.35, 0.3}), 777, 2000);
    check_order(shares({1, 0, 0}), shares({1e-6, 1e-6, 1}), 2999, 3000);
    check_order(shares({1, 2, 3, 4}), shares({4, 3, 2, 1}), 1, 500);
    check_order(shares({1, 0, 5, 0}), shares({0, 1, 0, 5}), 313, 900);
  }

  TEST_CASE("far out the counts are still exact") {
    const auto begin = shares_of(std::vector<double>{1, 2, 4}),
               end = shares_of(std::vector<double>{4, 2, 1});
    constexpr std::int64_t kFar = std::int64_t{1} << 51;
    const MixOrder order(begin, end, kFar);
    for (const std::int64_t n : {kFar - 5, kFar, kFar + 3, 3 * kFar}) {
      const auto counts = order.counts(n);
      CHECK(sum(counts) == n);
      const auto next = order.counts(n + 1);
      const auto [source, index] = order.sample(n);
      CHECK(next[source] == counts[source] + 1);
      CHECK(index == counts[source]);
    }
    // Half of the way in shares: the mean of both ends.
    CHECK(std::abs(order.counts(kFar)[0] - kFar / 2 / 7 * 5) < kFar / 100000);
  }

  TEST_CASE("shares between two mixes add up, and the ends are the ends") {
    const auto begin = shares_of(std::vector<double>{1, 2, 4, 0}),
               end = shares_of(std::vector<double>{3, 0, 1, 7});
    for (std::int64_t at = 0; at <= 17; ++at)
      CHECK(sum(shares_between(begin, end, at, 17)) == kWholeMix);
    CHECK(shares_between(begin, end, 0, 17) == begin);
    CHECK(shares_between(begin, end, 17, 17) == end);
  }
}

}  // namespace
}  // namespace fulgur
