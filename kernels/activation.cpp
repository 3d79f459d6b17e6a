#include "kernels/activation.hpp"

#include "kernels/activation_impl.hpp"
#include "kernels/checks.hpp"

namespace fulgur {

void silu_forward(const SiluForward& args, Stream& stream) {
  expect_floats(args.x, args.x.dims, "silu_forward: x");
  expect_floats(args.y, args.x.dims, "silu_forward: y");
  if (args.x.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::silu_forward(args, stream)
                                         : cuda::silu_forward(args, stream);
}

void silu_backward(const SiluBackward& args, Stream& stream) {
  expect_floats(args.x, args.x.dims, "silu_backward: x");
  expect_floats(args.dy, args.x.dims, "silu_backward: dy");
  expect_floats(args.dx, args.x.dims, "silu_backward: dx");
  if (args.x.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::silu_backward(args, stream)
                                         : cuda::silu_backward(args, stream);
}

void swiglu_forward(const SwigluForward& args, Stream& stream) {
  expect_floats(args.x, {kAny, 2, kAny}, "swiglu_forward: x");
  expect_floats(args.y, {args.x.dims[0], args.x.dims[2]}, "swiglu_forward: y");
  if (args.x.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::swiglu_forward(args, stream)
                                         : cuda::swiglu_forward(args, stream);
}

void swiglu_backward(const SwigluBackward& args, Stream& stream) {
  expect_floats(args.x, {kAny, 2, kAny}, "swiglu_backward: x");
  expect_floats(args.dy, {args.x.dims[0], args.x.dims[2]}, "swiglu_backward: dy");
  expect_floats(args.dx, args.x.dims, "swiglu_backward: dx");
  if (args.x.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::swiglu_backward(args, stream)
                                         : cuda::swiglu_backward(args, stream);
}

void sigmoid_gate_forward(const SigmoidGateForward& args, Stream& stream) {
  expect_floats(args.gate, args.gate.dims, "sigmoid_gate_forward: gate");
  expect_floats(args.x, args.gate.dims, "sigmoid_gate_forward: x");
  expect_floats(args.y, args.gate.dims, "sigmoid_gate_forward: y");
  if (args.gate.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::sigmoid_gate_forward(args, stream)
                                         : cuda::sigmoid_gate_forward(args, stream);
}

void sigmoid_gate_backward(const SigmoidGateBackward& args, Stream& stream) {
  expect_floats(args.gate, args.gate.dims, "sigmoid_gate_backward: gate");
  expect_floats(args.dy, args.gate.dims, "sigmoid_gate_backward: dy");
  expect_floats(args.x, args.gate.dims, "sigmoid_gate_backward: x");
  expect_floats(args.dgate, args.gate.dims, "sigmoid_gate_backward: dgate");
  expect_floats(args.dx, args.gate.dims, "sigmoid_gate_backward: dx");
  if (args.gate.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::sigmoid_gate_backward(args, stream)
                                         : cuda::sigmoid_gate_backward(args, stream);
}

void scaled_add(const ScaledAdd& args, Stream& stream) {
  expect_floats(args.a, args.a.dims, "scaled_add: a");
  expect_floats(args.b, args.a.dims, "scaled_add: b");
  expect_floats(args.y, args.a.dims, "scaled_add: y");
  if (args.a.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::scaled_add(args, stream)
                                         : cuda::scaled_add(args, stream);
}

void scale(const Tensor& x, float factor, Stream& stream) {
  expect_floats(x, x.dims, "scale: x");
  scaled_add({.a = x, .b = x, .y = x, .alpha = factor, .beta = 0.0f}, stream);
}

}  // namespace fulgur
