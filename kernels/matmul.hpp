#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

enum class Transpose : bool { kNo, kYes };

// c = alpha op(a) op(b) + beta c, op being the transpose or nothing.
//   a [M, K] (or [K, M] transposed)   b [K, N] (or [N, K] transposed)   c [M, N]
// The rows may be strided; the last dim has stride 1.
struct MatMul {
  Tensor a, b, c;
  Transpose transpose_a = Transpose::kNo;
  Transpose transpose_b = Transpose::kNo;
  float alpha = 1.0f;
  float beta = 0.0f;
};
void matmul(const MatMul& args, Stream& stream);

}  // namespace fulgur
