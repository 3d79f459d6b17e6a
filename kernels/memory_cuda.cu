#include <cuda_runtime.h>

#include "kernels/cuda_launch.cuh"
#include "kernels/memory_impl.hpp"
#include "kernels/transfer_impl.hpp"

namespace fulgur::cuda {
namespace {

// Where an element of a strided tensor lies. [dims]
struct Layout {
  explicit Layout(const Tensor& tensor) : num_dims(tensor.dims.size()) {
    for (int i = 0; i < num_dims; ++i) {
      dims[i] = tensor.dims[i];
      strides[i] = tensor.strides[i];
    }
  }

  __device__ std::int64_t offset(std::int64_t index) const {
    std::int64_t sum = 0;
    for (int i = num_dims - 1; i >= 0; --i) {
      sum += index % dims[i] * strides[i];
      index /= dims[i];
    }
    return sum;
  }

  int num_dims;
  std::int64_t dims[Shape::kMaxDims] = {}, strides[Shape::kMaxDims] = {};
};

template <class T>
void copy_strided(const Tensor& from, const Tensor& to, Stream& stream) {
  const Layout from_layout(from), to_layout(to);
  const auto* source = static_cast<const T*>(from.data);
  auto* target = static_cast<T*>(to.data);
  for_each_element(from.count(), stream, "copy", [=] __device__(std::int64_t i) {
    target[to_layout.offset(i)] = source[from_layout.offset(i)];
  });
}

template <class T>
void zero_strided(const Tensor& tensor, Stream& stream) {
  const Layout layout(tensor);
  auto* target = static_cast<T*>(tensor.data);
  for_each_element(tensor.count(), stream, "fill_zero",
                   [=] __device__(std::int64_t i) { target[layout.offset(i)] = 0; });
}

}  // namespace

// cudaMalloc aligns to 256 bytes. The memory is zeroed before anybody, on whatever stream, can use it.
void* allocate(std::size_t bytes) {
  void* data = nullptr;
  check(cudaMalloc(&data, bytes), "cudaMalloc");
  auto status = cudaMemset(data, 0, bytes);
  if (status == cudaSuccess) status = cudaStreamSynchronize(nullptr);
  if (status != cudaSuccess) {
    release(data);
    check(status, "cudaMemset");
  }
  return data;
}

void release(void* data) noexcept {
  static_cast<void>(cudaFree(data));
}

void copy(const Tensor& from, const Tensor& to, Stream& stream) {
  if (from.is_contiguous() && to.is_contiguous()) {
    return check(
        cudaMemcpyAsync(to.data, from.data, from.bytes(), cudaMemcpyDeviceToDevice, native(stream)),
        "cudaMemcpyAsync");
  }
  switch (size_bytes(from.dtype)) {
    case 1:
      return copy_strided<std::uint8_t>(from, to, stream);
    case 2:
      return copy_strided<std::uint16_t>(from, to, stream);
    case 4:
      return copy_strided<std::uint32_t>(from, to, stream);
    default:
      return copy_strided<std::uint64_t>(from, to, stream);
  }
}

void fill_zero(const Tensor& tensor, Stream& stream) {
  if (tensor.is_contiguous()) {
    return check(cudaMemsetAsync(tensor.data, 0, tensor.bytes(), native(stream)),
                 "cudaMemsetAsync");
  }
  switch (size_bytes(tensor.dtype)) {
    case 1:
      return zero_strided<std::uint8_t>(tensor, stream);
    case 2:
      return zero_strided<std::uint16_t>(tensor, stream);
    case 4:
      return zero_strided<std::uint32_t>(tensor, stream);
    default:
      return zero_strided<std::uint64_t>(tensor, stream);
  }
}

// From pageable memory, CUDA has taken the bytes when the call returns.
void upload(std::span<const std::byte> values, const Tensor& to, Stream& stream) {
  check(cudaMemcpyAsync(to.data, values.data(), values.size(), cudaMemcpyHostToDevice,
                        native(stream)),
        "cudaMemcpyAsync");
}

void download(const Tensor& from, std::span<std::byte> to, Stream& stream) {
  check(cudaMemcpyAsync(to.data(), from.data, to.size(), cudaMemcpyDeviceToHost, native(stream)),
        "cudaMemcpyAsync");
  stream.synchronize();
}

}  // namespace fulgur::cuda
