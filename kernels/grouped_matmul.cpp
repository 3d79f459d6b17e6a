#include "kernels/grouped_matmul.hpp"

#include "kernels/checks.hpp"
#include "kernels/grouped_matmul_impl.hpp"

namespace fulgur {

void grouped_matmul(const GroupedMatMul& args, Stream& stream) {
  const auto dtype = activation_dtype(args.x, stream.device(), "grouped_matmul: x");
  expect_dense(args.w, {kAny, kAny, kAny}, dtype, "grouped_matmul: w");
  const auto E = args.w.dims[0], N = args.w.dims[1], K = args.w.dims[2];
  expect_dense(args.x, {kAny, K}, dtype, "grouped_matmul: x");
  expect_dense(args.y, {args.x.dims[0], N}, dtype, "grouped_matmul: y");
  expect_ints(args.offsets, {E + 1}, "grouped_matmul: offsets");
  if (args.y.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::grouped_matmul(args, stream)
                                         : cuda::grouped_matmul(args, stream);
}

void grouped_matmul_input_gradient(const GroupedMatMulInputGradient& args, Stream& stream) {
  const auto dtype =
      activation_dtype(args.dy, stream.device(), "grouped_matmul_input_gradient: dy");
  expect_dense(args.w, {kAny, kAny, kAny}, dtype, "grouped_matmul_input_gradient: w");
  const auto E = args.w.dims[0], N = args.w.dims[1], K = args.w.dims[2];
  expect_dense(args.dy, {kAny, N}, dtype, "grouped_matmul_input_gradient: dy");
  expect_dense(args.dx, {args.dy.dims[0], K}, dtype, "grouped_matmul_input_gradient: dx");
  expect_ints(args.offsets, {E + 1}, "grouped_matmul_input_gradient: offsets");
  if (args.dx.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::grouped_matmul_input_gradient(args, stream)
                                         : cuda::grouped_matmul_input_gradient(args, stream);
}

void grouped_matmul_weight_gradient(const GroupedMatMulWeightGradient& args, Stream& stream) {
  const auto dtype =
      activation_dtype(args.dy, stream.device(), "grouped_matmul_weight_gradient: dy");
  expect_floats(args.dw, {kAny, kAny, kAny}, "grouped_matmul_weight_gradient: dw");
  const auto E = args.dw.dims[0], N = args.dw.dims[1], K = args.dw.dims[2];
  expect_dense(args.dy, {kAny, N}, dtype, "grouped_matmul_weight_gradient: dy");
  expect_dense(args.x, {args.dy.dims[0], K}, dtype, "grouped_matmul_weight_gradient: x");
  expect_ints(args.offsets, {E + 1}, "grouped_matmul_weight_gradient: offsets");
  if (args.dw.count() == 0 || args.dy.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::grouped_matmul_weight_gradient(args, stream)
                                         : cuda::grouped_matmul_weight_gradient(args, stream);
}

}  // namespace fulgur
