#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fulgur {

// The place of a rank in its block of ep x etp ranks, and what the block's tokens are cut into.
struct ExchangeShape {
  std::int64_t ep = 1, etp = 1;
  std::int64_t ep_rank = 0, etp_rank = 0;
  std::int64_t token_groups = 1;
  std::int64_t experts = 1;  // E of the model; ep divides it
};

// Which rows one rank sends and receives for one token group (docs/math.md 2.4).
//
//   own order      the rank's assignments by expert, so also by the ep rank that holds the expert
//   source order   the R rows that the rank's experts work on, as they arrive: by (etp rank, ep
//                  rank) that they come from, then by expert
//   expert order   the same R rows by expert, then by (etp rank, ep rank)
struct GroupPlan {
  std::vector<std::int64_t> send;      // [ep] rows of the own order that go to each ep rank
  std::vector<std::int64_t> receive;   // [ep] rows that come from each
  std::vector<std::int64_t> gather;    // [etp] rows that each etp rank receives; all of them make R
  std::vector<std::int32_t> offsets;   // [E/ep + 1] of the experts' rows in expert order
  std::vector<std::int32_t> sources;   // [R] row in expert order -> in source order
  std::vector<std::int32_t> arrivals;  // [R] row in source order -> in expert order

  std::int64_t num_sent() const;
  std::int64_t num_received() const;
  std::int64_t num_rows() const;  // R
};

// The plans of a rank's token groups. `offsets` [ep, etp, token_groups, E + 1]: of every rank of
// the block, the rows of each expert in its own order of each group, from 0 on.
//
// Throws std::invalid_argument when ep does not divide E, a rank is outside its axis, or offsets
// has another size. Cost: O(R) and the size of offsets.
std::vector<GroupPlan> plan_exchange(const ExchangeShape& shape,
                                     std::span<const std::int32_t> offsets);

}  // namespace fulgur
