#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fulgur {

// The part of the samples that each source has, in units of 1 / kWholeMix; together kWholeMix.
using Shares = std::vector<std::int64_t>;
inline constexpr std::int64_t kWholeMix = 1 << 20;

// The shares of some weights, of which only ratios count. A weight above 0 has a share of at least one unit.
// Throws std::invalid_argument unless the weights are finite, not negative, and not all 0.
Shares shares_of(std::span<const double> weights);

// The shares at `at` of `over` on the straight line from `begin` to `end`; 0 <= at <= over, over > 0.
Shares shares_between(const Shares& begin, const Shares& end, std::int64_t at, std::int64_t over);

// Which source each sample is from, in a row of samples in which every source has its share.
//
// Each source lays its samples out on one line of time: its k-th sample (from 0) stands where the integral
// of its share reaches k + 1/2. The row is all of them in the order of time, and where times are equal in
// the order of the sources. So the counts of the first n samples are a function of n alone, no count ever
// falls, and with S sources each is within S / 2 + 1 of its share of n. With constant shares this is the
// method of divisors of Webster and Sainte-Lague.
//
// All arithmetic is in integers: the order is the same on every machine.
class MixOrder {
 public:
  // The shares go in a straight line from `begin` to `end` while `transition` samples are read, and stay
  // there. Throws std::invalid_argument unless both have one length, are not negative and sum up to
  // kWholeMix, and 0 <= transition < 2^52.
  MixOrder(Shares begin, Shares end, std::int64_t transition);
  // With shares that stay.
  explicit MixOrder(const Shares& shares) : MixOrder(shares, shares, 0) {}

  // How many of the first n samples are from each source. Needs 0 <= n < 2^53. Cost: O(S log S).
  std::vector<std::int64_t> counts(std::int64_t n) const;

  struct Sample {
    std::size_t source;
    std::int64_t index;  // among those of its source
  };
  // The n-th sample, from 0. Cost as counts().
  Sample sample(std::int64_t n) const;

 private:
  std::int64_t count_until(std::size_t source, std::int64_t time) const;
  std::int64_t total_until(std::int64_t time) const;

  Shares begin_, end_;
  std::int64_t transition_;  // at least 1: with shares that stay its length is no matter
};

}  // namespace fulgur
