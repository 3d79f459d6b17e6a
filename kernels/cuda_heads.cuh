#pragma once

#include "kernels/cuda_floats.cuh"
#include "kernels/cuda_launch.cuh"

namespace fulgur::cuda {

// The rows of a tensor [tokens, heads, d] on the device, whose elements are T.
template <class T>
struct HeadsOf {
  explicit HeadsOf(const Tensor& tensor)
      : data(static_cast<T*>(tensor.data)),
        token_stride(tensor.dims[0] > 1 ? tensor.strides[0] : 0),
        head_stride(tensor.strides[1]) {}

  __device__ T* row(std::int64_t token, std::int64_t head) const {
    return data + token * token_stride + head * head_stride;
  }

  T* data;
  std::int64_t token_stride, head_stride;
};
using Heads = HeadsOf<float>;

// Brings columns [column, column + width) of the rows of tokens first, first + step, ... to shared
// memory as float32, row by row with `padded` numbers from one to the next: `rows` of them, then
// zeros up to kRows; zeros also behind the d columns of a head.
template <int kRows, class T>
__device__ void load_rows(const HeadsOf<T>& x, std::int64_t head, std::int64_t first, int step,
                          int rows, int column, int width, int d, int padded, float* to) {
  for (int i = static_cast<int>(threadIdx.x); i < kRows * width;
       i += static_cast<int>(blockDim.x)) {
    const int row = i / width, c = i % width;
    const bool inside = row < rows && column + c < d;
    to[row * padded + c] = inside ? to_float(x.row(first + row * step, head)[column + c]) : 0.0f;
  }
}

}  // namespace fulgur::cuda
