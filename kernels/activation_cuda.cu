#include <cuda_runtime.h>

#include "kernels/activation_impl.hpp"
#include "kernels/cuda_packs.cuh"

namespace fulgur::cuda {
namespace {

// sigmoid(x) and 1 - sigmoid(x), without cancellation or overflow.
struct Sigmoid {
  float value, complement;
};
__device__ Sigmoid sigmoid(float x) {
  const float e = expf(-fabsf(x));
  const float larger = 1.0f / (1.0f + e), smaller = e * larger;
  return x < 0 ? Sigmoid{smaller, larger} : Sigmoid{larger, smaller};
}

// map() over tensors of one dtype.
template <int kIn, int kOut, class Function>
void map_all(const Tensor (&in)[kIn], const Tensor (&out)[kOut], const Stream& stream,
             const char* operation, Function function) {
  with_float_type(in[0].dtype, [&](auto element) {
    using T = decltype(element);
    map<T, T>(in, out, stream, operation, function);
  });
}

template <class T>
void swiglu_forward_of(const SwigluForward& args, Stream& stream) {
  const auto F = args.x.dims[2];
  const auto* x = args.x.as<T>();
  auto* y = args.y.as<T>();
  for_each_row_pack<T>(args.x.dims[0], F, is_aligned(args.x) && is_aligned(args.y), stream,
                       "swiglu_forward", [=] __device__(std::int64_t m, std::int64_t f, auto size) {
                         constexpr int N = decltype(size)::value;
                         const auto gate = load_pack<N>(x + m * 2 * F + f);
                         const auto linear = load_pack<N>(x + m * 2 * F + F + f);
                         Pack<T, N> out;
                         for (int j = 0; j < N; ++j) {
                           const float g = to_float(gate.at[j]);
                           store(g * sigmoid(g).value * to_float(linear.at[j]), &out.at[j]);
                         }
                         store_pack(out, y + m * F + f);
                       });
}

template <class T>
void swiglu_backward_of(const SwigluBackward& args, Stream& stream) {
  const auto F = args.x.dims[2];
  const auto *dy = args.dy.as<T>(), *x = args.x.as<T>();
  auto* dx = args.dx.as<T>();
  for_each_row_pack<T>(
      args.x.dims[0], F, is_aligned(args.x) && is_aligned(args.dy) && is_aligned(args.dx), stream,
      "swiglu_backward", [=] __device__(std::int64_t m, std::int64_t f, auto size) {
        constexpr int N = decltype(size)::value;
        const auto at = m * 2 * F + f;
        const auto gate = load_pack<N>(x + at), linear = load_pack<N>(x + at + F);
        const auto out = load_pack<N>(dy + m * F + f);
        Pack<T, N> dgate, dlinear;
        for (int j = 0; j < N; ++j) {
          const float g = to_float(gate.at[j]), through = to_float(out.at[j]);
          const auto [value, complement] = sigmoid(g);
          store(through * to_float(linear.at[j]) * value * (1.0f + g * complement), &dgate.at[j]);
          store(through * g * value, &dlinear.at[j]);
        }
        store_pack(dgate, dx + at);
        store_pack(dlinear, dx + at + F);
      });
}

}  // namespace

void silu_forward(const SiluForward& args, Stream& stream) {
  map_all({args.x}, {args.y}, stream, "silu_forward",
          [] __device__(const float(&x)[1], float(&y)[1]) { y[0] = x[0] * sigmoid(x[0]).value; });
}

void silu_backward(const SiluBackward& args, Stream& stream) {
  map_all({args.dy, args.x}, {args.dx}, stream, "silu_backward",
          [] __device__(const float(&in)[2], float(&dx)[1]) {
            const auto [dy, x] = in;
            const auto [value, complement] = sigmoid(x);
            dx[0] = dy * value * (1.0f + x * complement);
          });
}

void swiglu_forward(const SwigluForward& args, Stream& stream) {
  with_float_type(args.x.dtype,
                  [&](auto element) { swiglu_forward_of<decltype(element)>(args, stream); });
}

void swiglu_backward(const SwigluBackward& args, Stream& stream) {
  with_float_type(args.x.dtype,
                  [&](auto element) { swiglu_backward_of<decltype(element)>(args, stream); });
}

void sigmoid_gate_forward(const SigmoidGateForward& args, Stream& stream) {
  map_all(
      {args.gate, args.x}, {args.y}, stream, "sigmoid_gate_forward",
      [] __device__(const float(&in)[2], float(&y)[1]) { y[0] = sigmoid(in[0]).value * in[1]; });
}

void sigmoid_gate_backward(const SigmoidGateBackward& args, Stream& stream) {
  map_all({args.dy, args.gate, args.x}, {args.dx, args.dgate}, stream, "sigmoid_gate_backward",
          [] __device__(const float(&in)[3], float(&out)[2]) {
            const auto [value, complement] = sigmoid(in[1]);
            out[0] = in[0] * value;
            out[1] = out[0] * in[2] * complement;
          });
}

void scaled_add(const ScaledAdd& args, Stream& stream) {
  const float alpha = args.alpha, beta = args.beta;
  if (beta == 0.0f) {  // b may hold anything then
    return map_all({args.a}, {args.y}, stream, "scaled_add",
                   [=] __device__(const float(&a)[1], float(&y)[1]) { y[0] = alpha * a[0]; });
  }
  map_all(
      {args.a, args.b}, {args.y}, stream, "scaled_add",
      [=] __device__(const float(&in)[2], float(&y)[1]) { y[0] = alpha * in[0] + beta * in[1]; });
}

}  // namespace fulgur::cuda
