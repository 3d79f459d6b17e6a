#pragma once

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
// memory, row by row with `padded` numbers from one to the next: `rows` of them, then zeros up to
// kRows; zeros also behind the d columns of a head.
template <int kRows>
__device__ void load_rows(const Heads& x, std::int64_t head, std::int64_t first, int step, int rows,
                          int column, int width, int d, int padded, float* to) {
  for (int i = static_cast<int>(threadIdx.x); i < kRows * width;
       i += static_cast<int>(blockDim.x)) {
    const int row = i / width, c = i % width;
    const bool inside = row < rows && column + c < d;
    to[row * padded + c] = inside ? x.row(first + row * step, head)[column + c] : 0.0f;
  }
}

// Lets a kernel take `bytes` of shared memory. Throws CudaError when a block cannot have so much.
template <class Kernel>
void allow_shared_memory(Kernel kernel, std::size_t bytes, const char* operation) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        operation);
}

}  // namespace fulgur::cuda
