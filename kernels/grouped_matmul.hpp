#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// E matrix products over uneven groups of rows; group g has the rows offsets[g] .. offsets[g+1]-1.
//   x [M, K]   w [E, N, K]   y [M, N]   offsets [E+1] int32
struct GroupedMatMul {  // y[r] = x[r] w[g]^T
  Tensor x, w, offsets, y;
};
struct GroupedMatMulInputGradient {  // dx[r] = dy[r] w[g]
  Tensor dy, w, offsets, dx;
};
struct GroupedMatMulWeightGradient {  // dw[g] += sum over its rows of dy[r]^T x[r]
  Tensor dy, x, offsets, dw;
};
void grouped_matmul(const GroupedMatMul& args, Stream& stream);
void grouped_matmul_input_gradient(const GroupedMatMulInputGradient& args, Stream& stream);
void grouped_matmul_weight_gradient(const GroupedMatMulWeightGradient& args, Stream& stream);

}  // namespace fulgur
