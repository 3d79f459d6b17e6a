#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/cuda_check.hpp"

// Pieces of kernels that many operations need.
namespace fulgur::cuda {

inline constexpr int kWarp = 32;
inline constexpr int kThreads = 256;  // of a block, where nothing speaks for another number
inline constexpr unsigned kAllLanes = 0xffffffffu;

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// The x dim of a grid; the y and z dims end at 65535.
inline unsigned grid_size(std::int64_t blocks) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (blocks > kMost) throw CudaError("launch: a grid of " + std::to_string(blocks) + " blocks");
  return static_cast<unsigned>(blocks);
}

// Lets a kernel take `bytes` of shared memory. Throws CudaError when a block cannot have so much.
template <class Kernel>
void allow_shared_memory(Kernel kernel, std::size_t bytes, const char* operation) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        operation);
}

// Stops the kernel where an argument in device memory breaks the contract of the operation: nothing is
// read or written outside the tensors, and the stream's next synchronize() throws CudaError.
__device__ inline void require(bool condition) {
  if (!condition) __trap();
}

// Sums over a block, the same in every thread, in an order that depends on the block size alone.
// Threads call it together; blockDim.x is a multiple of a warp, at most 1024.
template <class T>
__device__ T warp_sum(T value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(kAllLanes, value, offset);
  return value;
}
// The sum of the values of this lane and of those before it.
template <class T>
__device__ T warp_scan(T value) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const T before = __shfl_up_sync(kAllLanes, value, distance);
    if (lane >= distance) value += before;
  }
  return value;
}
__device__ inline float warp_max(float value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2)
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
  return value;
}
template <class T, class Combine>
__device__ T block_combine(T value, T neutral, const Combine& combine) {
  __shared__ T of_warps[kWarp];
  value = combine(value);
  __syncthreads();  // of_warps may still be read from an earlier call
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = value;
  __syncthreads();
  const auto lane = threadIdx.x % kWarp;
  return combine(lane < blockDim.x / kWarp ? of_warps[lane] : neutral);
}
__device__ inline double block_sum(double value) {
  return block_combine(value, 0.0, [](double x) { return warp_sum(x); });
}
__device__ inline float block_max(float value) {
  return block_combine(value, -INFINITY, [](float x) { return warp_max(x); });
}

template <class Body>
__global__ void elements_kernel(std::int64_t n, Body body) {
  const auto step = std::int64_t{gridDim.x} * blockDim.x;
  for (auto i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step)
    body(i);
}

// Blocks of kThreads that go through n elements together: more are no faster than several elements a thread.
inline unsigned num_element_blocks(std::int64_t n) {
  constexpr std::int64_t kMostBlocks = 132 * 16;
  return static_cast<unsigned>(std::min(divide_up(n, kThreads), kMostBlocks));
}

// Queues body(i), a device function, for i = 0 .. n-1 in any order.
template <class Body>
void for_each_element(std::int64_t n, const Stream& stream, const char* operation, Body body) {
  if (n == 0) return;
  elements_kernel<<<num_element_blocks(n), kThreads, 0, native(stream)>>>(n, body);
  check_launch(operation);
}

}  // namespace fulgur::cuda
