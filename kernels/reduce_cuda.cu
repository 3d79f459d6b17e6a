#include <cuda_runtime.h>

#include "kernels/cuda_launch.cuh"
#include "kernels/reduce_impl.hpp"

namespace fulgur::cuda {
namespace {

constexpr std::int64_t kMostParts = 1024;  // also the threads of the block that adds them up

__global__ void sum_parts(const float* x, std::int64_t n, double* parts) {
  double sum = 0;
  const auto step = std::int64_t{gridDim.x} * blockDim.x;
  for (auto i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step)
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  sum = block_sum(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void add_parts(const double* parts, unsigned num_parts, double* out) {
  const double sum = block_sum(threadIdx.x < num_parts ? parts[threadIdx.x] : 0.0);
  if (threadIdx.x == 0) *out += sum;
}

}  // namespace

void sum_of_squares(const SumOfSquares& args, Stream& stream) {
  const auto n = args.x.count();
  const auto num_parts = static_cast<unsigned>(std::min(divide_up(n, kThreads), kMostParts));
  const Scratch parts(num_parts * sizeof(double), stream);
  sum_parts<<<num_parts, kThreads, 0, native(stream)>>>(args.x.as<float>(), n, parts.as<double>());
  check_launch("sum_of_squares");
  add_parts<<<1, kMostParts, 0, native(stream)>>>(parts.as<double>(), num_parts,
                                                  args.out.as<double>());
  check_launch("sum_of_squares");
}

void clip_scale(const ClipScale& args, Stream& stream) {
  const auto* squares = args.squares.as<double>();
  auto* scale = args.scale.as<float>();
  for_each_element(1, stream, "clip_scale", [=, most = args.most] __device__(std::int64_t) {
    const double factor = most / (sqrt(*squares) + 1e-6);
    *scale = factor < 1 ? static_cast<float>(factor) : 1.0f;
  });
}

}  // namespace fulgur::cuda
