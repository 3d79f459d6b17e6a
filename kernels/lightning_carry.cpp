#include "kernels/lightning_carry.hpp"

#include <stdexcept>
#include <string>

#include "kernels/checks.hpp"
#include "kernels/heads.hpp"
#include "kernels/lightning_carry_impl.hpp"

namespace fulgur {
namespace {

void expect_segments(const LightningSegments& segments, const std::string& operation) {
  expect_ints(segments.starts, {kAny}, operation + ": segments.starts");
  const auto count = segments.starts.dims[0] - 1;
  if (count < 0) {
    throw std::invalid_argument(operation + ": segments.starts: expected at least one number");
  }
  expect_ints(segments.in_slot, {count}, operation + ": segments.in_slot");
  expect_ints(segments.out_slot, {count}, operation + ": segments.out_slot");
}

// A table without memory has no states, whatever its dims.
void expect_states(const Tensor& states, const Shape& heads, const std::string& name) {
  if (states.data == nullptr) return;
  expect_floats(states, {kAny, heads[1], heads[2], heads[2]}, name);
}

}  // namespace

void lightning_fold(const LightningFold& args, Stream& stream) {
  expect_floats(args.out, {kAny, kAny, kAny, kAny}, "lightning_fold: out");
  const auto P = args.out.dims[0], H = args.out.dims[1], d = args.out.dims[2];
  expect_floats(args.out, {P, H, d, d}, "lightning_fold: out");
  expect_floats(args.states, {kAny, H, d, d}, "lightning_fold: states");
  expect_ints(args.distance, {P, args.states.dims[0]}, "lightning_fold: distance");
  expect_floats(args.decay_rate, {H}, "lightning_fold: decay_rate");
  if (args.out.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::lightning_fold(args, stream)
                                         : cuda::lightning_fold(args, stream);
}

void lightning_carry_forward(const LightningCarryForward& args, Stream& stream) {
  const std::string operation = "lightning_carry_forward";
  const auto dtype = activation_dtype(args.q, stream.device(), operation + ": q");
  expect_heads(args.q, {kAny, kAny, kAny}, operation + ": q", dtype);
  expect_heads(args.o, args.q.dims, operation + ": o", dtype);
  expect_floats(args.decay_rate, {args.q.dims[1]}, operation + ": decay_rate");
  expect_segments(args.segments, operation);
  expect_states(args.states_in, args.q.dims, operation + ": states_in");
  if (args.q.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::lightning_carry_forward(args, stream)
                                         : cuda::lightning_carry_forward(args, stream);
}

void lightning_carry_backward(const LightningCarryBackward& args, Stream& stream) {
  const std::string operation = "lightning_carry_backward";
  const auto dtype = activation_dtype(args.k, stream.device(), operation + ": k");
  expect_heads(args.k, {kAny, kAny, kAny}, operation + ": k", dtype);
  expect_heads(args.v, args.k.dims, operation + ": v", dtype);
  expect_heads(args.dk, args.k.dims, operation + ": dk", dtype);
  expect_heads(args.dv, args.k.dims, operation + ": dv", dtype);
  expect_floats(args.decay_rate, {args.k.dims[1]}, operation + ": decay_rate");
  expect_segments(args.segments, operation);
  expect_states(args.dstates_out, args.k.dims, operation + ": dstates_out");
  if (args.k.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::lightning_carry_backward(args, stream)
                                         : cuda::lightning_carry_backward(args, stream);
}

}  // namespace fulgur
