#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/coordinator/decide.hpp"

namespace fulgur {

// Who waits for whom, from the latest signs of life of all workers.

// Whether the collectives of a group wait for ranks that have not entered, and which.
struct Missing {
  std::string group;
  std::int64_t number = 0;    // of the collective
  std::vector<int> have_not;  // entered it
  std::vector<int> wait;      // in it
  TimePoint since{};          // the first of them
};
// Of all collectives that somebody waits in, longest wait first.
std::vector<Missing> missing_ranks(const RunState& state);

// Whom a run that stands still waits for: the rank that others wait for and that waits for none. Nothing
// when the waits form a circle, or nobody waits.
std::optional<int> awaited_rank(const RunState& state);

}  // namespace fulgur
