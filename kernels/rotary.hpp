#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

enum class RotaryDirection : bool { kForward, kInverse };

// Rotary position embedding (arXiv 2104.09864), in place, of the first rotary_dim dims of every
// head. With half = rotary_dim / 2, the pair (x[j], x[j + half]) is turned by the angle
//
//   position * base^(-2j / rotary_dim)        j = 0 .. half-1
//
//   x[j]        <- x[j] cos - x[j + half] sin
//   x[j + half] <- x[j] sin + x[j + half] cos
//
// These are half-split pairs, not neighbours. kInverse turns back: it is the transpose, so also the
// backward pass, on the gradient. Angles are calculated in float64 and depend on the position
// alone.
//
//   x [T, H, d] float32, or bfloat16 on a GPU, strided in T and H
//   positions [T] int32, dense, restarting at every document
//
// Throws std::invalid_argument when dims or dtypes do not fit, or when rotary_dim is odd or above
// d. Cost: O(T H rotary_dim).
struct Rotary {
  Tensor x, positions;
  std::int64_t rotary_dim = 0;
  double base = 10000.0;
  RotaryDirection direction = RotaryDirection::kForward;
};
void rotary(const Rotary& args, Stream& stream);

}  // namespace fulgur
