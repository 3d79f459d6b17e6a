#include <cuda_runtime.h>

#include "kernels/cuda_column_sums.cuh"
#include "kernels/rms_norm_impl.hpp"

namespace fulgur::cuda {
namespace {

// One block per row. Every thread reads its elements before it writes them, so y may be x, and dx dy.
__global__ void forward_kernel(const float* x, const float* weight, float* y, float* rstd,
                               std::int64_t C, float eps) {
  x += blockIdx.x * C;
  y += blockIdx.x * C;
  double sum = 0;
  for (std::int64_t c = threadIdx.x; c < C; c += blockDim.x)
    sum += static_cast<double>(x[c]) * static_cast<double>(x[c]);
  const auto factor = static_cast<float>(1.0 / sqrt(block_sum(sum) / static_cast<double>(C) + eps));
  for (std::int64_t c = threadIdx.x; c < C; c += blockDim.x)
    y[c] = x[c] * factor * weight[c];
  if (threadIdx.x == 0) rstd[blockIdx.x] = factor;
}

__global__ void backward_kernel(const float* dy, const float* x, const float* weight,
                                const float* rstd, float* dx, std::int64_t C) {
  dy += blockIdx.x * C;
  x += blockIdx.x * C;
  dx += blockIdx.x * C;
  const float factor = rstd[blockIdx.x];
  double dot = 0;
  for (std::int64_t c = threadIdx.x; c < C; c += blockDim.x)
    dot += static_cast<double>(dy[c] * weight[c]) * static_cast<double>(x[c]);
  const auto mean = static_cast<float>(block_sum(dot) * factor / static_cast<double>(C));
  for (std::int64_t c = threadIdx.x; c < C; c += blockDim.x)
    dx[c] = factor * (dy[c] * weight[c] - x[c] * factor * mean);
}

}  // namespace

void rms_norm_forward(const RmsNormForward& args, Stream& stream) {
  forward_kernel<<<grid_size(args.x.dims[0]), kThreads, 0, native(stream)>>>(
      args.x.as<float>(), args.weight.as<float>(), args.y.as<float>(), args.rstd.as<float>(),
      args.x.dims[1], args.eps);
  check_launch("rms_norm_forward");
}

// dweight comes first: dx may be dy.
void rms_norm_backward(const RmsNormBackward& args, Stream& stream) {
  const auto T = args.x.dims[0], C = args.x.dims[1];
  const auto *dy = args.dy.as<float>(), *x = args.x.as<float>(), *rstd = args.rstd.as<float>();
  add_column_sums({T, C}, args.dweight.as<float>(), stream, "rms_norm_backward",
                  [=] __device__(std::int64_t t, std::int64_t c) {
                    return static_cast<double>(dy[t * C + c] * (x[t * C + c] * rstd[t]));
                  });
  backward_kernel<<<grid_size(T), kThreads, 0, native(stream)>>>(dy, x, args.weight.as<float>(),
                                                                 rstd, args.dx.as<float>(), C);
  check_launch("rms_norm_backward");
}

}  // namespace fulgur::cuda
