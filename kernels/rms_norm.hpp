#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Root-mean-square normalisation of every row:
//
//   y = x rstd weight        rstd = 1 / sqrt(mean(x^2) + eps), the mean over the last dim
//
//   x, y [T, C]   weight [C] float32   rstd [T] float32          all dense
//
// x, y, dy and dx are float32, or all bfloat16 on a GPU; dweight is float32.
//
// When a row is cut over ranks, the columns here are a part of it. The sums over the row are then made
// by the caller: rms_norm_squares (or rms_norm_dots) of every part, added up over the ranks.
//   sums [T] float64, dense; without memory when the rows are whole     width: columns of a whole row
struct RmsNormParts {
  Tensor sums;
  std::int64_t width = 0;
};

// rstd is kept for the backward pass. The sums over a row are taken in float64. y may be x only if x is
// not needed again.
struct RmsNormForward {
  Tensor x, weight, y, rstd;
  float eps = 1e-5f;
  RmsNormParts parts = {};  // the sums of squares
};

// With n = x rstd, the normalised row:
//
//   dx      = rstd (dy weight - n mean(dy weight n))   [T, C], overwritten; may be dy
//   dweight = dweight + sum over the rows of dy n      [C]
struct RmsNormBackward {
  Tensor dy, x, weight, rstd, dx, dweight;
  RmsNormParts parts = {};  // the dots
};

// sums = the sum over a row's columns of x^2; overwritten.
struct RmsNormSquares {
  Tensor x, sums;
};
// sums = the sum over a row's columns of dy weight x; overwritten.
struct RmsNormDots {
  Tensor dy, x, weight, sums;
};

// Throw std::invalid_argument, naming the tensor, when dims or dtypes do not fit together.
// Cost: O(T C); x is read once forward, dy and x once backward.
void rms_norm_forward(const RmsNormForward& args, Stream& stream);
void rms_norm_backward(const RmsNormBackward& args, Stream& stream);
void rms_norm_squares(const RmsNormSquares& args, Stream& stream);
void rms_norm_dots(const RmsNormDots& args, Stream& stream);

}  // namespace fulgur
