#include "kernels/activation.hpp"

#include "kernels/activation_impl.hpp"
#include "kernels/checks.hpp"

namespace fulgur {

void silu_forward(const SiluForward& args, Stream& stream) {
  const auto dtype = activation_dtype(args.x, stream.device(), "silu_forward: x");
  expect_dense(args.x, args.x.dims, dtype, "silu_forward: x");
  expect_dense(args.y, args.x.dims, dtype, "silu_forward: y");
  if (args.x.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::silu_forward(args, stream)
                                         : cuda::silu_forward(args, stream);
}

void silu_backward(const SiluBackward& args, Stream& stream) {
  const auto dtype = activation_dtype(args.x, stream.device(), "silu_backward: x");
  expect_dense(args.x, args.x.dims, dtype, "silu_backward: x");
  expect_dense(args.dy, args.x.dims, dtype, "silu_backward: dy");
  expect_dense(args.dx, args.x.dims, dtype, "silu_backward: dx");
  if (args.x.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::silu_backward(args, stream)
                                         : cuda::silu_backward(args, stream);
}

void swiglu_forward(const SwigluForward& args, Stream& stream) {
  const auto dtype = activation_dtype(args.x, stream.device(), "swiglu_forward: x");
  expect_dense(args.x, {kAny, 2, kAny}, dtype, "swiglu_forward: x");
  expect_dense(args.y, {args.x.dims[0], args.x.dims[2]}, dtype, "swiglu_forward: y");
  if (args.x.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::swiglu_forward(args, stream)
                                         : cuda::swiglu_forward(args, stream);
}

void swiglu_backward(const SwigluBackward& args, Stream& stream) {
  const auto dtype = activation_dtype(args.x, stream.device(), "swiglu_backward: x");
  expect_dense(args.x, {kAny, 2, kAny}, dtype, "swiglu_backward: x");
  expect_dense(args.dy, {args.x.dims[0], args.x.dims[2]}, dtype, "swiglu_backward: dy");
  expect_dense(args.dx, args.x.dims, dtype, "swiglu_backward: dx");
  if (args.x.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::swiglu_backward(args, stream)
                                         : cuda::swiglu_backward(args, stream);
}

void sigmoid_gate_forward(const SigmoidGateForward& args, Stream& stream) {
  const auto dtype = activation_dtype(args.gate, stream.device(), "sigmoid_gate_forward: gate");
  expect_dense(args.gate, args.gate.dims, dtype, "sigmoid_gate_forward: gate");
  expect_dense(args.x, args.gate.dims, dtype, "sigmoid_gate_forward: x");
  expect_dense(args.y, args.gate.dims, dtype, "sigmoid_gate_forward: y");
  if (args.gate.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::sigmoid_gate_forward(args, stream)
                                         : cuda::sigmoid_gate_forward(args, stream);
}

void sigmoid_gate_backward(const SigmoidGateBackward& args, Stream& stream) {
  const auto dtype = activation_dtype(args.gate, stream.device(), "sigmoid_gate_backward: gate");
  expect_dense(args.gate, args.gate.dims, dtype, "sigmoid_gate_backward: gate");
  expect_dense(args.dy, args.gate.dims, dtype, "sigmoid_gate_backward: dy");
  expect_dense(args.x, args.gate.dims, dtype, "sigmoid_gate_backward: x");
  expect_dense(args.dgate, args.gate.dims, dtype, "sigmoid_gate_backward: dgate");
  expect_dense(args.dx, args.gate.dims, dtype, "sigmoid_gate_backward: dx");
  if (args.gate.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::sigmoid_gate_backward(args, stream)
                                         : cuda::sigmoid_gate_backward(args, stream);
}

void scaled_add(const ScaledAdd& args, Stream& stream) {
  const auto dtype = activation_dtype(args.a, stream.device(), "scaled_add: a");
  expect_dense(args.a, args.a.dims, dtype, "scaled_add: a");
  expect_dense(args.b, args.a.dims, dtype, "scaled_add: b");
  expect_dense(args.y, args.a.dims, dtype, "scaled_add: y");
  if (args.a.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::scaled_add(args, stream)
                                         : cuda::scaled_add(args, stream);
}

void scale(const Tensor& x, float factor, Stream& stream) {
  expect_dense(x, x.dims, activation_dtype(x, stream.device(), "scale: x"), "scale: x");
  scaled_add({.a = x, .b = x, .y = x, .alpha = factor, .beta = 0.0f}, stream);
}

}  // namespace fulgur
