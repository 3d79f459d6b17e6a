#include <cuda_runtime.h>

#include "kernels/cuda_column_sums.cuh"
#include "kernels/cuda_floats.cuh"
#include "kernels/rms_norm_impl.hpp"

namespace fulgur::cuda {
namespace {

// The sums over whole rows that the caller made, or nothing, and the columns of a whole row.
struct Sums {
  const double* sums;
  double width;
};

Sums sums_of(const RmsNormParts& parts, std::int64_t C) {
  if (parts.sums.data == nullptr) return {nullptr, static_cast<double>(C)};
  return {parts.sums.as<double>(), static_cast<double>(parts.width)};
}

template <class T>
__device__ double squares(const T* x, std::int64_t C) {
  double sum = 0;
  for (std::int64_t c = threadIdx.x; c < C; c += blockDim.x) {
    const auto value = static_cast<double>(to_float(x[c]));
    sum += value * value;
  }
  return block_sum(sum);
}

template <class T>
__device__ double dots(const T* dy, const T* x, const float* weight, std::int64_t C) {
  double sum = 0;
  for (std::int64_t c = threadIdx.x; c < C; c += blockDim.x)
    sum += static_cast<double>(to_float(dy[c]) * weight[c]) * static_cast<double>(to_float(x[c]));
  return block_sum(sum);
}

// One block per row. Every thread reads its elements before it writes them, so y may be x, and dx dy.
template <class T>
__global__ void forward_kernel(const T* x, const float* weight, T* y, float* rstd, std::int64_t C,
                               float eps, Sums sums) {
  x += blockIdx.x * C;
  y += blockIdx.x * C;
  const double sum = sums.sums == nullptr ? squares(x, C) : sums.sums[blockIdx.x];
  const auto factor = static_cast<float>(1.0 / sqrt(sum / sums.width + eps));
  for (std::int64_t c = threadIdx.x; c < C; c += blockDim.x)
    store(to_float(x[c]) * factor * weight[c], &y[c]);
  if (threadIdx.x == 0) rstd[blockIdx.x] = factor;
}

template <class T>
__global__ void backward_kernel(const T* dy, const T* x, const float* weight, const float* rstd,
                                T* dx, std::int64_t C, Sums sums) {
  dy += blockIdx.x * C;
  x += blockIdx.x * C;
  dx += blockIdx.x * C;
  const float factor = rstd[blockIdx.x];
  const double sum = sums.sums == nullptr ? dots(dy, x, weight, C) : sums.sums[blockIdx.x];
  const auto mean = static_cast<float>(sum * factor / sums.width);
  for (std::int64_t c = threadIdx.x; c < C; c += blockDim.x)
    store(factor * (to_float(dy[c]) * weight[c] - to_float(x[c]) * factor * mean), &dx[c]);
}

template <class T>
__global__ void squares_kernel(const T* x, double* sums, std::int64_t C) {
  const double sum = squares(x + blockIdx.x * C, C);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

template <class T>
__global__ void dots_kernel(const T* dy, const T* x, const float* weight, double* sums,
                            std::int64_t C) {
  const double sum = dots(dy + blockIdx.x * C, x + blockIdx.x * C, weight, C);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// dweight comes first: dx may be dy.
template <class T>
void backward_of(const RmsNormBackward& args, Stream& stream) {
  const auto rows = args.x.dims[0], C = args.x.dims[1];
  const auto *dy = args.dy.as<T>(), *x = args.x.as<T>();
  const auto* rstd = args.rstd.as<float>();
  add_column_sums({rows, C}, args.dweight.as<float>(), stream, "rms_norm_backward",
                  [=] __device__(std::int64_t t, std::int64_t c) {
                    const auto at = t * C + c;
                    return static_cast<double>(to_float(dy[at]) * (to_float(x[at]) * rstd[t]));
                  });
  backward_kernel<<<grid_size(rows), kThreads, 0, native(stream)>>>(
      dy, x, args.weight.as<float>(), rstd, args.dx.as<T>(), C, sums_of(args.parts, C));
  check_launch("rms_norm_backward");
}

}  // namespace

void rms_norm_forward(const RmsNormForward& args, Stream& stream) {
  with_float_type(args.x.dtype, [&](auto element) {
    using T = decltype(element);
    forward_kernel<<<grid_size(args.x.dims[0]), kThreads, 0, native(stream)>>>(
        args.x.as<T>(), args.weight.as<float>(), args.y.as<T>(), args.rstd.as<float>(),
        args.x.dims[1], args.eps, sums_of(args.parts, args.x.dims[1]));
    check_launch("rms_norm_forward");
  });
}

void rms_norm_backward(const RmsNormBackward& args, Stream& stream) {
  with_float_type(args.x.dtype,
                  [&](auto element) { backward_of<decltype(element)>(args, stream); });
}

void rms_norm_squares(const RmsNormSquares& args, Stream& stream) {
  with_float_type(args.x.dtype, [&](auto element) {
    using T = decltype(element);
    squares_kernel<<<grid_size(args.x.dims[0]), kThreads, 0, native(stream)>>>(
        args.x.as<T>(), args.sums.as<double>(), args.x.dims[1]);
    check_launch("rms_norm_squares");
  });
}

void rms_norm_dots(const RmsNormDots& args, Stream& stream) {
  with_float_type(args.x.dtype, [&](auto element) {
    using T = decltype(element);
    dots_kernel<<<grid_size(args.x.dims[0]), kThreads, 0, native(stream)>>>(
        args.dy.as<T>(), args.x.as<T>(), args.weight.as<float>(), args.sums.as<double>(),
        args.x.dims[1]);
    check_launch("rms_norm_dots");
  });
}

}  // namespace fulgur::cuda
