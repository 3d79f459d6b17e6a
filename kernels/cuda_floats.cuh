#pragma once

#include <cuda_bf16.h>

#include "kernels/tensor.hpp"

namespace fulgur {
template <>
inline constexpr DType kDTypeOf<__nv_bfloat16> = DType::kBFloat16;
}  // namespace fulgur

// Kernels over activations are written once, for elements T that are float or __nv_bfloat16. They
// calculate in float; only what is stored is rounded (to nearest, ties to even).
namespace fulgur::cuda {

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

__device__ inline void store(float x, float* to) {
  *to = x;
}
__device__ inline void store(float x, __nv_bfloat16* to) {
  *to = __float2bfloat16_rn(x);
}

// Calls body(T{}) with the element type of `dtype`, which the operation's checks have found to be
// float32 or bfloat16.
template <class Body>
void with_float_type(DType dtype, const Body& body) {
  if (dtype == DType::kBFloat16) {
    body(__nv_bfloat16{});
  } else {
    body(float{});
  }
}

}  // namespace fulgur::cuda
