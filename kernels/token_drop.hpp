#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Drops the assignments that are more than an expert takes, in an order that goes over the tokens
// of several ranks (docs/math.md 1.3). A rank's T tokens lie in n runs: run i has the tokens
// starts[i] .. starts[i+1]-1, and stands at place places[i] among the S n runs of all S ranks.
//
//   experts, keys, rows, kept [T, k]   starts [n + 1]   places [n]   offsets [n E + 1]
//   all_offsets [S, n E + 1]   order [S n]   before [n, E]   dropped, dropped_alone [1]
//                                                                          all int32, dense

// keys[t, j] = i E + experts[t, j] for a token of run i. Sorting by them
// (kernels/token_permutation.hpp, with n E experts) gives offsets and rows: the assignments of run
// i to e are offsets[i E + e] .. offsets[i E + e + 1]-1, in the order of their numbers.
struct KeyRuns {
  Tensor experts, starts, keys;
  std::int64_t num_experts = 1;  // E
};

// before[i, e]: assignments to e in all runs at places before places[i]. order[p]: the run at place
// p, as s n + i for run i of rank s. all_offsets: the offsets of rank 0, 1, ...
struct CountBefore {
  Tensor all_offsets, order, places, before;
};

// kept[t, j] = experts[t, j], or -1 when `capacity` or more assignments to the expert come
// before it.
//   dropped += those of this rank
//   dropped_alone += sum over e of what this rank's own assignments to e exceed capacity_alone by
struct DropRanked {
  Tensor experts, starts, rows, offsets, before, kept, dropped, dropped_alone;
  std::int64_t capacity = 0, capacity_alone = 0;
};

// Throw std::invalid_argument, naming the tensor, when dims or dtypes do not fit together. starts
// rises from 0 to T, and experts are in [0, E): the queued work of key_runs refuses others.
// Cost: O(T k log n) for the first and the last, O(S n n E) for count_before.
void key_runs(const KeyRuns& args, Stream& stream);
void count_before(const CountBefore& args, Stream& stream);
void drop_ranked(const DropRanked& args, Stream& stream);

}  // namespace fulgur
