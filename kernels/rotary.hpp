#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

enum class RotaryDirection : bool { kForward, kInverse };

// Rotates, in place, the first rotary_dim dims of every head by its token's position: half-split
// pairs (j, j + rotary_dim/2), angle position * base^(-2j/rotary_dim). kInverse is the backward pass.
//   x [T, H, d] (strided in T and H)   positions [T] int32 (restart at every document)
struct Rotary {
  Tensor x, positions;
  std::int64_t rotary_dim = 0;
  double base = 10000.0;
  RotaryDirection direction = RotaryDirection::kForward;
};
void rotary(const Rotary& args, Stream& stream);

}  // namespace fulgur
