#pragma once

#include "kernels/context.hpp"
#include "recipes/token_runs.hpp"
#include "runtime/comm/communicator.hpp"

namespace fulgur {

// What an expert takes of `tokens` tokens with k choices each: ceil(capacity_factor k tokens / E).
std::int64_t expert_capacity(double capacity_factor, std::int64_t k, std::int64_t tokens,
                             std::int64_t experts);

// The global router (docs/math.md 1.3): drops what an expert cannot take of one global micro-batch.
// The assignments to an expert are ranked by sequence, then position, then choice, wherever the
// tokens lie: so who is dropped depends neither on the layout of the stage nor on the order of the
// chunks.
//
//   experts  [T, k]  of this rank's rows, in [0, E); T is the rank's rows by token_runs()
//   kept     [T, k]  the same, -1 where dropped; overwritten
//   dropped, dropped_local [1]: += dropped assignments of this rank, and those that it would have
//            dropped with a capacity of its own for each expert, expert_capacity() of its T tokens
//                                                                                       all int32
struct DropOverCapacity {
  Tensor experts, kept, dropped, dropped_local;
  std::int64_t num_experts = 1;  // E
  double capacity_factor = 1;
};

// Collective over `stage`, the dp x cp x tp ranks of `grid`, tp fastest. Queued on ctx.stream;
// nothing waits on the host. Throws std::invalid_argument when the stage is not that of the grid,
// or T not this rank's.
//
// Cost: an all-gather of E numbers for each run; O(T k + S n^2 E) for S ranks with n runs each.
void drop_over_capacity(const Context& ctx, Communicator& stage, const TokenGrid& grid,
                        const DropOverCapacity& args);

}  // namespace fulgur
