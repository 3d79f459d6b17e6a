#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Brings the tokens of every expert together in rows, and back. Every token t has k choices j; the
// assignment (t, j) has the number t k + j. M = T k rows.
//
//   x, out [T, C]    y [M, C]    weights [T, k] float32    experts, rows [T, k] int32
//   slots [M] int32    offsets [E + 1] int32               all dense, none overlapping
//
// The rows of C columns, x, y, out and their gradients, are float32, or all bfloat16 on a GPU; dweights is
// float32.

// Sorts the assignments by expert, stable in their number. An expert of -1 is a dropped assignment.
//   rows[t, j]: the row of the assignment, -1 when dropped
//   slots[r]: the assignment in row r, -1 in the unused rows at the end
//   offsets: expert e has the rows offsets[e] .. offsets[e+1]-1; offsets[E] rows are in use
struct SortByExpert {
  Tensor experts, rows, slots, offsets;
};

// y[r] = x[slots[r] / k], zeros in unused rows.
struct PermuteForward {
  Tensor x, slots, y;
  std::int64_t k = 1;
};
// dx[t] = sum over j of dy[rows[t, j]], overwritten. The transpose of permute_forward.
struct PermuteBackward {
  Tensor dy, rows, dx;
};

// out[t] = sum over j of weights[t, j] y[rows[t, j]]; dropped assignments add nothing.
struct CombineForward {
  Tensor y, rows, weights, out;
};
// dy[r] = weights[t, j] dout[t] for the assignment in row r, zeros in unused rows
// dweights[t, j] = dot(dout[t], y[rows[t, j]]), 0 when dropped           both overwritten
struct CombineBackward {
  Tensor dout, y, rows, slots, weights, dy, dweights;
};

// Throw std::invalid_argument, naming the tensor, when dims or dtypes do not fit together; the queued
// work of sort_by_expert does so for an expert outside [-1, E).
// Cost: O(T k + E) to sort, O(M C) for the others.
void sort_by_expert(const SortByExpert& args, Stream& stream);
void permute_forward(const PermuteForward& args, Stream& stream);
void permute_backward(const PermuteBackward& args, Stream& stream);
void combine_forward(const CombineForward& args, Stream& stream);
void combine_backward(const CombineBackward& args, Stream& stream);

}  // namespace fulgur
