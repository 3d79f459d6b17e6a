#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

enum class Transpose : bool { kNo, kYes };

// c = alpha op(a) op(b) + beta c, op being the transpose or nothing.
//
//   a [M, K] (or [K, M] transposed)   b [K, N] (or [N, K] transposed)   c [M, N]
//
// All three are float32; or, on a GPU, a and b are bfloat16, and c is bfloat16 or float32. Sums are
// float32, and are rounded to what c is (with beta, the product perhaps before it is added, and
// then again): a gradient of weights in float32 takes products of bfloat16 straight into its sum.
//
// The rows may be strided, without overlap; the last dim has stride 1. With beta = 0, c is not
// read: it may hold anything, also NaN. c may not overlap a or b.
//
// Throws std::invalid_argument, naming the tensor, when dims, strides or dtypes do not fit
// together. Cost: O(M N K).
struct MatMul {
  Tensor a, b, c;
  Transpose transpose_a = Transpose::kNo;
  Transpose transpose_b = Transpose::kNo;
  float alpha = 1.0f;
  float beta = 0.0f;
};
void matmul(const MatMul& args, Stream& stream);

}  // namespace fulgur
