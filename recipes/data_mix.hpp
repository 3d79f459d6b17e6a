#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "recipes/job.hpp"
#include "recipes/mix_order.hpp"

namespace fulgur {

// The mix of a job's sources in one stretch of training (recipes/phases.hpp): from the beginning of the
// stretch in a straight line from `begin` to `end` over `over` tokens, and from `addition_from` tokens on
// with the additions.
struct StretchMix {
  std::int64_t from = 0;  // tokens seen
  Shares begin, end;
  std::int64_t over = 0;
  Shares added;  // with the additions; empty: there are none
  std::int64_t addition_from = std::numeric_limits<std::int64_t>::max();

  // The shares where `tokens` tokens have been seen.
  Shares at(std::int64_t tokens) const;
  // What is in force when the stretch ends.
  const Shares& last() const { return added.empty() ? end : added; }
  // The next place behind `tokens` where the line of the shares has a corner; the maximum when none comes.
  std::int64_t next_corner(std::int64_t tokens) const;
};

// For every stretch, the first one of job.train included. Needs a job whose mixes keep the rules.
std::vector<StretchMix> stretch_mixes(const Job& job);

// Where the additions of phase i begin: as given, or where the last fifth of the phase does.
std::int64_t addition_begin(const PhasesSpec& phases, std::size_t i);

}  // namespace fulgur
