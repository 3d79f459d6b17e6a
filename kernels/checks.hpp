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
inline void expect_ints(const Tensor& tensor, const Shape& dims, std::string_view name) {
  expect_dense(tensor, dims, DType::kInt32, name);
}

}  // namespace fulgur
