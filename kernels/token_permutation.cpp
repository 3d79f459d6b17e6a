#include "kernels/token_permutation.hpp"

#include <stdexcept>

#include "kernels/checks.hpp"
#include "kernels/token_permutation_impl.hpp"

namespace fulgur {

void sort_by_expert(const SortByExpert& args, Stream& stream) {
  expect_ints(args.experts, {kAny, kAny}, "sort_by_expert: experts");
  expect_ints(args.rows, args.experts.dims, "sort_by_expert: rows");
  expect_ints(args.slots, {args.experts.count()}, "sort_by_expert: slots");
  expect_ints(args.offsets, {kAny}, "sort_by_expert: offsets");
  if (args.offsets.dims[0] < 2)
    throw std::invalid_argument("sort_by_expert: offsets: expected at least 2 numbers, got " +
                                to_string(args.offsets.dims));
  return stream.device() == Device::kCpu ? cpu::sort_by_expert(args, stream)
                                         : cuda::sort_by_expert(args, stream);
}

void permute_forward(const PermuteForward& args, Stream& stream) {
  const auto dtype = activation_dtype(args.x, stream.device(), "permute_forward: x");
  expect_dense(args.x, {kAny, kAny}, dtype, "permute_forward: x");
  const auto T = args.x.dims[0], C = args.x.dims[1];
  expect_ints(args.slots, {T * args.k}, "permute_forward: slots");
  expect_dense(args.y, {T * args.k, C}, dtype, "permute_forward: y");
  if (args.y.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::permute_forward(args, stream)
                                         : cuda::permute_forward(args, stream);
}

void permute_backward(const PermuteBackward& args, Stream& stream) {
  expect_ints(args.rows, {kAny, kAny}, "permute_backward: rows");
  const auto dtype = activation_dtype(args.dx, stream.device(), "permute_backward: dx");
  expect_dense(args.dx, {args.rows.dims[0], kAny}, dtype, "permute_backward: dx");
  expect_dense(args.dy, {args.rows.count(), args.dx.dims[1]}, dtype, "permute_backward: dy");
  if (args.dx.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::permute_backward(args, stream)
                                         : cuda::permute_backward(args, stream);
}

void combine_forward(const CombineForward& args, Stream& stream) {
  expect_ints(args.rows, {kAny, kAny}, "combine_forward: rows");
  const auto dtype = activation_dtype(args.out, stream.device(), "combine_forward: out");
  expect_dense(args.out, {args.rows.dims[0], kAny}, dtype, "combine_forward: out");
  expect_dense(args.y, {args.rows.count(), args.out.dims[1]}, dtype, "combine_forward: y");
  expect_floats(args.weights, args.rows.dims, "combine_forward: weights");
  if (args.out.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::combine_forward(args, stream)
                                         : cuda::combine_forward(args, stream);
}

void combine_backward(const CombineBackward& args, Stream& stream) {
  expect_ints(args.rows, {kAny, kAny}, "combine_backward: rows");
  const auto M = args.rows.count();
  const auto dtype = activation_dtype(args.dout, stream.device(), "combine_backward: dout");
  expect_dense(args.dout, {args.rows.dims[0], kAny}, dtype, "combine_backward: dout");
  const auto C = args.dout.dims[1];
  expect_dense(args.y, {M, C}, dtype, "combine_backward: y");
  expect_ints(args.slots, {M}, "combine_backward: slots");
  expect_floats(args.weights, args.rows.dims, "combine_backward: weights");
  expect_dense(args.dy, {M, C}, dtype, "combine_backward: dy");
  expect_floats(args.dweights, args.rows.dims, "combine_backward: dweights");
  if (M == 0) return;
  return stream.device() == Device::kCpu ? cpu::combine_backward(args, stream)
                                         : cuda::combine_backward(args, stream);
}

}  // namespace fulgur
