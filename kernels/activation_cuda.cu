#include <cuda_runtime.h>

#include "kernels/activation_impl.hpp"
#include "kernels/cuda_launch.cuh"

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

}  // namespace

void silu_forward(const SiluForward& args, Stream& stream) {
  const auto* x = args.x.as<float>();
  auto* y = args.y.as<float>();
  for_each_element(args.x.count(), stream, "silu_forward",
                   [=] __device__(std::int64_t i) { y[i] = x[i] * sigmoid(x[i]).value; });
}

void silu_backward(const SiluBackward& args, Stream& stream) {
  const auto *dy = args.dy.as<float>(), *x = args.x.as<float>();
  auto* dx = args.dx.as<float>();
  for_each_element(args.x.count(), stream, "silu_backward", [=] __device__(std::int64_t i) {
    const auto [value, complement] = sigmoid(x[i]);
    dx[i] = dy[i] * value * (1.0f + x[i] * complement);
  });
}

void swiglu_forward(const SwigluForward& args, Stream& stream) {
  const auto F = args.x.dims[2];
  const auto* x = args.x.as<float>();
  auto* y = args.y.as<float>();
  for_each_element(args.y.count(), stream, "swiglu_forward", [=] __device__(std::int64_t i) {
    const auto gate = i / F * 2 * F + i % F;
    y[i] = x[gate] * sigmoid(x[gate]).value * x[gate + F];
  });
}

void swiglu_backward(const SwigluBackward& args, Stream& stream) {
  const auto F = args.x.dims[2];
  const auto *dy = args.dy.as<float>(), *x = args.x.as<float>();
  auto* dx = args.dx.as<float>();
  for_each_element(args.dy.count(), stream, "swiglu_backward", [=] __device__(std::int64_t i) {
    const auto at = i / F * 2 * F + i % F;
    const float gate = x[at], linear = x[at + F];
    const auto [value, complement] = sigmoid(gate);
    dx[at] = dy[i] * linear * value * (1.0f + gate * complement);
    dx[at + F] = dy[i] * gate * value;
  });
}

void sigmoid_gate_forward(const SigmoidGateForward& args, Stream& stream) {
  const auto *gate = args.gate.as<float>(), *x = args.x.as<float>();
  auto* y = args.y.as<float>();
  for_each_element(args.x.count(), stream, "sigmoid_gate_forward",
                   [=] __device__(std::int64_t i) { y[i] = sigmoid(gate[i]).value * x[i]; });
}

void sigmoid_gate_backward(const SigmoidGateBackward& args, Stream& stream) {
  const auto *dy = args.dy.as<float>(), *gate = args.gate.as<float>(), *x = args.x.as<float>();
  auto *dgate = args.dgate.as<float>(), *dx = args.dx.as<float>();
  for_each_element(args.x.count(), stream, "sigmoid_gate_backward", [=] __device__(std::int64_t i) {
    const auto [value, complement] = sigmoid(gate[i]);
    const float through = dy[i] * value;
    const float slope = through * x[i] * complement;
    dx[i] = through;
    dgate[i] = slope;
  });
}

void scaled_add(const ScaledAdd& args, Stream& stream) {
  const auto *a = args.a.as<float>(), *b = args.b.as<float>();
  auto* y = args.y.as<float>();
  const float alpha = args.alpha, beta = args.beta;
  for_each_element(args.a.count(), stream, "scaled_add", [=] __device__(std::int64_t i) {
    y[i] = beta == 0.0f ? alpha * a[i] : alpha * a[i] + beta * b[i];  // b may hold anything then
  });
}

}  // namespace fulgur::cuda
