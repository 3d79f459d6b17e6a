#pragma once

#include <string_view>

#include "kernels/tensor.hpp"

namespace fulgur {

// What most operations ask of a tensor. Throws std::invalid_argument, naming `name`, unless `tensor`
// is dense and has these dims (kAny fits any) and this dtype.
inline void expect_dense(const Tensor& tensor, const Shape& dims, DType dtype,
                         std::string_view name) {
  expect_dims(tensor, dims, name);
  expect_dtype(tensor, dtype, name);
  expect_contiguous(tensor, name);
}
inline void expect_floats(const Tensor& tensor, const Shape& dims, std::string_view name) {
  expect_dense(tensor, dims, DType::kFloat32, name);
}
// The dtype that an operation on activations works in is that of its first tensor: float32, or bfloat16
// on a GPU. Throws std::invalid_argument, naming `name`, for another.
inline DType activation_dtype(const Tensor& first, Device device, std::string_view name) {
  if (first.dtype == DType::kBFloat16 && device == Device::kCuda) return first.dtype;
  expect_dtype(first, DType::kFloat32, name);
  return DType::kFloat32;
}
inline void expect_ints(const Tensor& tensor, const Shape& dims, std::string_view name) {
  expect_dense(tensor, dims, DType::kInt32, name);
}

}  // namespace fulgur
