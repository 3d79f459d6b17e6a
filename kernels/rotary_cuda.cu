#include <cuda_runtime.h>

#include <cmath>

#include "kernels/cuda_floats.cuh"
#include "kernels/cuda_launch.cuh"
#include "kernels/rotary_impl.hpp"

namespace fulgur::cuda {
namespace {

constexpr int kHeadsAtOnce = 8;

// The pair j of so many heads: all are read before the first is written, so that they travel together.
template <int kHeads, class T>
__device__ void turn(T* x, std::int64_t head_stride, std::int64_t half, float c, float s) {
  float a[kHeads], b[kHeads];
  for (int h = 0; h < kHeads; ++h) {
    a[h] = to_float(x[h * head_stride]);
    b[h] = to_float(x[h * head_stride + half]);
  }
  for (int h = 0; h < kHeads; ++h) {
    store(a[h] * c - b[h] * s, &x[h * head_stride]);
    store(a[h] * s + b[h] * c, &x[h * head_stride + half]);
  }
}

// One thread per token and pair: it turns that pair of every head, so that the angle, in float64, is made
// once. Neighbouring threads have neighbouring pairs.
template <class T>
void rotary_of(const Rotary& args, Stream& stream) {
  const auto H = args.x.dims[1], half = args.rotary_dim / 2;
  const auto token_stride = args.x.strides[0], head_stride = args.x.strides[1];
  const auto* positions = args.positions.as<std::int32_t>();
  auto* x = args.x.as<T>();
  const double slope = -2.0 * std::log2(args.base) / static_cast<double>(args.rotary_dim);
  const float sign = args.direction == RotaryDirection::kForward ? 1.0f : -1.0f;
  for_each_element(args.x.dims[0] * half, stream, "rotary", [=] __device__(std::int64_t i) {
    const auto t = i / half, j = i % half;
    double sine = 0, cosine = 0;
    sincos(positions[t] * exp2(slope * static_cast<double>(j)), &sine, &cosine);
    const float c = static_cast<float>(cosine), s = sign * static_cast<float>(sine);
    T* const first = x + t * token_stride + j;
    std::int64_t h = 0;
    for (; h + kHeadsAtOnce <= H; h += kHeadsAtOnce)
      turn<kHeadsAtOnce>(first + h * head_stride, head_stride, half, c, s);
    for (; h < H; ++h)
      turn<1>(first + h * head_stride, head_stride, half, c, s);
  });
}

}  // namespace

void rotary(const Rotary& args, Stream& stream) {
  with_float_type(args.x.dtype, [&](auto element) { rotary_of<decltype(element)>(args, stream); });
}

}  // namespace fulgur::cuda
