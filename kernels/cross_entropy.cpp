#include "kernels/cross_entropy.hpp"

#include <stdexcept>

#include "kernels/checks.hpp"
#include "kernels/cross_entropy_impl.hpp"

namespace fulgur {
namespace {

void expect_columns(const Tensor& logits, const char* name) {
  if (logits.dims[1] == 0)
    throw std::invalid_argument(std::string(name) + ": expected at least one column, got " +
                                to_string(logits.dims));
}

}  // namespace

void cross_entropy_forward(const CrossEntropyForward& args, Stream& stream) {
  const auto dtype =
      activation_dtype(args.logits, stream.device(), "cross_entropy_forward: logits");
  expect_dense(args.logits, {kAny, kAny}, dtype, "cross_entropy_forward: logits");
  expect_columns(args.logits, "cross_entropy_forward: logits");
  const auto T = args.logits.dims[0];
  expect_ints(args.labels, {T}, "cross_entropy_forward: labels");
  expect_floats(args.lse, {T}, "cross_entropy_forward: lse");
  expect_floats(args.target, {T}, "cross_entropy_forward: target");
  if (T == 0) return;
  return stream.device() == Device::kCpu ? cpu::cross_entropy_forward(args, stream)
                                         : cuda::cross_entropy_forward(args, stream);
}

void cross_entropy_backward(const CrossEntropyBackward& args, Stream& stream) {
  const auto dtype =
      activation_dtype(args.logits, stream.device(), "cross_entropy_backward: logits");
  expect_dense(args.logits, {kAny, kAny}, dtype, "cross_entropy_backward: logits");
  expect_columns(args.logits, "cross_entropy_backward: logits");
  const auto T = args.logits.dims[0];
  expect_ints(args.labels, {T}, "cross_entropy_backward: labels");
  expect_floats(args.lse, {T}, "cross_entropy_backward: lse");
  if (T == 0) return;
  return stream.device() == Device::kCpu ? cpu::cross_entropy_backward(args, stream)
                                         : cuda::cross_entropy_backward(args, stream);
}

void cross_entropy_loss(const CrossEntropyLoss& args, Stream& stream) {
  expect_floats(args.lse, {kAny}, "cross_entropy_loss: lse");
  const auto T = args.lse.dims[0];
  expect_floats(args.target, {T}, "cross_entropy_loss: target");
  expect_ints(args.labels, {T}, "cross_entropy_loss: labels");
  expect_dense(args.loss, {1}, DType::kFloat64, "cross_entropy_loss: loss");
  if (T == 0) return;
  return stream.device() == Device::kCpu ? cpu::cross_entropy_loss(args, stream)
                                         : cuda::cross_entropy_loss(args, stream);
}

void combine_lse(const CombineLse& args, Stream& stream) {
  expect_floats(args.parts, {kAny, kAny}, "combine_lse: parts");
  expect_floats(args.lse, {args.parts.dims[1]}, "combine_lse: lse");
  if (args.lse.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::combine_lse(args, stream)
                                         : cuda::combine_lse(args, stream);
}

}  // namespace fulgur
