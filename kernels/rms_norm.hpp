#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Root-mean-square normalisation of every row:
//
//   y = x rstd weight        rstd = 1 / sqrt(mean(x^2) + eps), the mean over the last dim
//
//   x, y [T, C]   weight [C]   rstd [T]          float32, dense
//
// rstd is kept for the backward pass. The sums over a row are taken in float64. y may be x only if x is
// not needed again.
struct RmsNormForward {
  Tensor x, weight, y, rstd;
  float eps = 1e-5f;
};

// With n = x rstd, the normalised row:
//
//   dx      = rstd (dy weight - n mean(dy weight n))   [T, C], overwritten; may be dy
//   dweight = dweight + sum over the rows of dy n      [C]
struct RmsNormBackward {
  Tensor dy, x, weight, rstd, dx, dweight;
};

// Throw std::invalid_argument, naming the tensor, when dims or dtypes do not fit together.
// Cost: O(T C), one pass over the rows forward and one backward.
void rms_norm_forward(const RmsNormForward& args, Stream& stream);
void rms_norm_backward(const RmsNormBackward& args, Stream& stream);

}  // namespace fulgur
