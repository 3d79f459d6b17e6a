#pragma once

#include <stdexcept>
#include <string>

#include "kernels/tensor.hpp"

namespace fulgur {

// What attention asks of a tensor [tokens, heads, d]: throws std::invalid_argument, naming `name`,
// unless it has these dims (kAny fits any) and dtype, and keeps the d numbers of a head together.
inline void expect_heads(const Tensor& tensor, const Shape& dims, const std::string& name,
                         DType dtype = DType::kFloat32) {
  expect_dims(tensor, dims, name);
  expect_dtype(tensor, dtype, name);
  expect_dense_rows(tensor, name);
  if (tensor.dims[0] > 1 && tensor.strides[0] < tensor.dims[2]) {
    throw std::invalid_argument(name + ": tokens overlap: strides " + to_string(tensor.strides));
  }
}

// The rows of one head, from one token on: token t + i lies i * stride behind data.
struct HeadRows {
  float* data;
  std::int64_t stride;
};
inline HeadRows head_rows(const Tensor& tensor, std::int64_t token, std::int64_t head) {
  const auto stride = tensor.dims[0] > 1 ? tensor.strides[0] : tensor.dims[2];
  return {tensor.as<float>() + token * tensor.strides[0] + head * tensor.strides[1], stride};
}

}  // namespace fulgur
