#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// E matrix products over uneven groups of rows, one per expert: group g has the rows
// offsets[g] .. offsets[g+1]-1.
//
//   x, dx [M, K]   w [E, N, K]   y, dy [M, N]   float32, or on a GPU all bfloat16; dense
//   dw [E, N, K]   float32, dense               offsets [E + 1]   int32
//
// Sums are float32, and are rounded once. Products of bfloat16 go to tensor cores where K and N are
// multiples of 8 and there are at most 4096 groups; others are right, but slow.
//
// offsets rises from 0 to at most M, and groups may be empty. Rows from offsets[E] on belong to no
// group: they are neither read nor written. What is written overlaps no input.

// y[r] = x[r] w[g]^T
struct GroupedMatMul {
  Tensor x, w, offsets, y;
};
// dx[r] = dy[r] w[g], overwritten
struct GroupedMatMulInputGradient {
  Tensor dy, w, offsets, dx;
};
// dw[g] += sum over the rows r of the group of dy[r]^T x[r]
struct GroupedMatMulWeightGradient {
  Tensor dy, x, offsets, dw;
};

// Throw std::invalid_argument, naming the tensor, when dims or dtypes do not fit together; the
// queued work does so when offsets does not rise from 0 to at most M. Cost: 2 offsets[E] N K
// floating-point operations.
void grouped_matmul(const GroupedMatMul& args, Stream& stream);
void grouped_matmul_input_gradient(const GroupedMatMulInputGradient& args, Stream& stream);
void grouped_matmul_weight_gradient(const GroupedMatMulWeightGradient& args, Stream& stream);

}  // namespace fulgur
