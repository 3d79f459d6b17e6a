#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Sorts the assignments (token t, choice j) by expert, stable in (t, j).
//   experts [T, k] int32 (an expert of -1 is a dropped assignment: it gets no row)
//   rows [T, k] int32: the row of the assignment, -1 when dropped
//   slots [M = T k] int32: the assignment t k + j in each row; unused rows at the end get -1
//   offsets [E + 1] int32: expert e has the rows offsets[e] .. offsets[e+1]-1
struct SortByExpert {
  Tensor experts, rows, slots, offsets;
};
// y[r] = x[slots[r] / k], zeros for unused rows.        x [T, C]   y [M, C]
struct PermuteForward {
  Tensor x, slots, y;
  std::int64_t k = 1;
};
// dx[t] = sum over j of dy[rows[t, j]] (overwritten).
struct PermuteBackward {
  Tensor dy, rows, dx;
};
// out[t] = sum over j of weights[t, j] y[rows[t, j]].   y [M, C]   out [T, C]
struct CombineForward {
  Tensor y, rows, weights, out;
};
// dy[r] = weights[t, j] dout[t], zeros for unused rows;  dweights[t, j] = dot(dout[t], y[rows[t, j]]).
struct CombineBackward {
  Tensor dout, y, rows, slots, weights, dy, dweights;
};
void sort_by_expert(const SortByExpert& args, Stream& stream);
void permute_forward(const PermuteForward& args, Stream& stream);
void permute_backward(const PermuteBackward& args, Stream& stream);
void combine_forward(const CombineForward& args, Stream& stream);
void combine_backward(const CombineBackward& args, Stream& stream);

}  // namespace fulgur
