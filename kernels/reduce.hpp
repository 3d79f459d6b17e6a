#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// out[0] += sum of x^2.            x [n] float32, dense   out [1] float64
//
// Accumulated in float64 in an order that depends on n alone, so that the same numbers always give the
// same bits. Throws std::invalid_argument, naming the tensor, for other dims or dtypes. Cost: O(n).
struct SumOfSquares {
  Tensor x, out;
};
void sum_of_squares(const SumOfSquares& args, Stream& stream);

// scale[0] = min(1, most / (sqrt(squares[0]) + 1e-6)): times this, a vector whose squares add up to
// squares[0] has at most the norm `most` (torch.nn.utils.clip_grad_norm_).
//
//   squares [1] float64     scale [1] float32
//
// 1 where squares[0] is not a number. Throws std::invalid_argument, naming the tensor or number, for other
// dims or dtypes, and unless most > 0. Cost: O(1).
struct ClipScale {
  Tensor squares, scale;
  double most = 1;
};
void clip_scale(const ClipScale& args, Stream& stream);

}  // namespace fulgur
