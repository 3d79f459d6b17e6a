#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "runtime/comm/nccl/check.hpp"
#include "runtime/comm/nccl/max_keys.hpp"

namespace fulgur::nccl {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 1024;  // each thread strides over the rest

template <class Bits>
__device__ Bits inverted_if_negative(Bits bits) {
  return bits < 0 ? bits ^ std::numeric_limits<Bits>::max() : bits;
}

template <class Float, class Bits>
__global__ void to_keys(const Float* in, Bits* out, std::int64_t count) {
  const auto stride = std::int64_t{gridDim.x} * blockDim.x;
  for (auto i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    const Float value = in[i];
    Bits bits;
    memcpy(&bits, &value, sizeof(bits));
    out[i] = isnan(value) ? std::numeric_limits<Bits>::max() : inverted_if_negative(bits);
  }
}

// The greatest key is the bits of a NaN, so it needs no case of its own.
template <class Bits>
__global__ void from_keys(Bits* keys, std::int64_t count) {
  const auto stride = std::int64_t{gridDim.x} * blockDim.x;
  for (auto i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride)
    keys[i] = inverted_if_negative(keys[i]);
}

unsigned num_blocks(std::int64_t count) {
  return static_cast<unsigned>(std::min((count + kThreads - 1) / kThreads, kMostBlocks));
}

}  // namespace

void to_max_keys(const Tensor& in, const Tensor& out, Stream& stream) {
  const auto blocks = num_blocks(in.count());
  if (in.dtype == DType::kFloat64) {
    to_keys<<<blocks, kThreads, 0, native(stream)>>>(
        in.as<double>(), static_cast<std::int64_t*>(out.data), in.count());
  } else {
    to_keys<<<blocks, kThreads, 0, native(stream)>>>(
        in.as<float>(), static_cast<std::int32_t*>(out.data), in.count());
  }
  check(cudaGetLastError(), "all_reduce: keys of a maximum");
}

void from_max_keys(const Tensor& tensor, Stream& stream) {
  const auto blocks = num_blocks(tensor.count());
  if (tensor.dtype == DType::kFloat64) {
    from_keys<<<blocks, kThreads, 0, native(stream)>>>(static_cast<std::int64_t*>(tensor.data),
                                                       tensor.count());
  } else {
    from_keys<<<blocks, kThreads, 0, native(stream)>>>(static_cast<std::int32_t*>(tensor.data),
                                                       tensor.count());
  }
  check(cudaGetLastError(), "all_reduce: maximum of keys");
}

}  // namespace fulgur::nccl
