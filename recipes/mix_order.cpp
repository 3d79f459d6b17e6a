#include "recipes/mix_order.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace fulgur {
namespace {

__extension__ using Wide = __int128;

// Rounding leaves a few units too many or too few: those with the most of them can best bear it.
void make_whole(Shares& shares) {
  auto left = kWholeMix - std::accumulate(shares.begin(), shares.end(), std::int64_t{0});
  while (left != 0) {
    auto& largest = *std::max_element(shares.begin(), shares.end());
    const auto change = std::max(left, 1 - largest);
    largest += change;
    left -= change;
  }
}

void check_shares(const Shares& shares) {
  const bool negative =
      std::any_of(shares.begin(), shares.end(), [](std::int64_t each) { return each < 0; });
  if (negative || std::accumulate(shares.begin(), shares.end(), std::int64_t{0}) != kWholeMix)
    throw std::invalid_argument("MixOrder: shares that do not add up");
}

}  // namespace

Shares shares_of(std::span<const double> weights) {
  double sum = 0;
  for (const double weight : weights) {
    if (!std::isfinite(weight) || weight < 0)
      throw std::invalid_argument("shares_of: a weight that is negative or no number");
    sum += weight;
  }
  if (!(sum > 0) || !std::isfinite(sum))
    throw std::invalid_argument("shares_of: no weight is above 0, or they cannot be added up");
  Shares shares;
  for (const double weight : weights) {
    const auto share = std::llround(weight / sum * static_cast<double>(kWholeMix));
    shares.push_back(weight > 0 ? std::max<std::int64_t>(share, 1) : 0);
  }
  make_whole(shares);
  return shares;
}

Shares shares_between(const Shares& begin, const Shares& end, std::int64_t at, std::int64_t over) {
  Shares shares;
  for (std::size_t i = 0; i < begin.size(); ++i)
    shares.push_back(begin[i] + static_cast<std::int64_t>(Wide{end[i] - begin[i]} * at / over));
  make_whole(shares);
  return shares;
}

MixOrder::MixOrder(Shares begin, Shares end, std::int64_t transition)
    : begin_(std::move(begin)),
      end_(std::move(end)),
      transition_(std::max<std::int64_t>(transition, 1)) {
  if (begin_.size() != end_.size() || transition < 0 || transition >= std::int64_t{1} << 52)
    throw std::invalid_argument("MixOrder: shares of two lengths, or a transition out of range");
  if (transition == 0) begin_ = end_;
  check_shares(begin_);
  check_shares(end_);
}

// The integral of the share up to `time`, rounded to the nearest sample. Twice the transition is the common
// denominator. No product passes 2^127: shares are at most 2^20, times below 2^53, transitions below 2^52.
std::int64_t MixOrder::count_until(std::size_t source, std::int64_t time) const {
  const Wide begin = begin_[source], end = end_[source], length = transition_;
  const Wide inside = std::min(time, transition_),
             behind = time - static_cast<std::int64_t>(inside);
  const Wide integral =
      2 * length * begin * inside + (end - begin) * inside * inside + 2 * length * end * behind;
  const Wide unit = 2 * length * kWholeMix;
  return static_cast<std::int64_t>((integral + unit / 2) / unit);
}

std::int64_t MixOrder::total_until(std::int64_t time) const {
  std::int64_t total = 0;
  for (std::size_t source = 0; source < begin_.size(); ++source)
    total += count_until(source, time);
  return total;
}

std::vector<std::int64_t> MixOrder::counts(std::int64_t n) const {
  if (n < 0 || n >= std::int64_t{1} << 53)
    throw std::invalid_argument("MixOrder::counts: expected 0 <= n < 2^53");
  // The first time at which n samples stand at it or before: each count is within 1/2 of its integral, and
  // the integrals add up to the time.
  const auto sources = static_cast<std::int64_t>(begin_.size());
  auto low = std::max<std::int64_t>(n - sources, 0), high = n + sources;
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    if (total_until(middle) >= n)
      high = middle;
    else
      low = middle + 1;
  }
  std::vector<std::int64_t> counts(begin_.size(), 0);
  if (low == 0) return counts;
  for (std::size_t source = 0; source < counts.size(); ++source)
    counts[source] = count_until(source, low - 1);
  auto left = n - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  for (std::size_t source = 0; source < counts.size() && left > 0; ++source) {
    const auto here = count_until(source, low) - counts[source];  // 0 or 1: no share is above 1
    counts[source] += here;
    left -= here;
  }
  return counts;
}

MixOrder::Sample MixOrder::sample(std::int64_t n) const {
  const auto before = counts(n), after = counts(n + 1);
  std::size_t source = 0;
  while (after[source] == before[source])
    ++source;
  return {.source = source, .index = before[source]};
}

}  // namespace fulgur
