#include "kernels/embedding.hpp"

#include "kernels/checks.hpp"
#include "kernels/embedding_impl.hpp"

namespace fulgur {

void embedding_forward(const EmbeddingForward& args, Stream& stream) {
  expect_ints(args.ids, {kAny}, "embedding_forward: ids");
  const auto dtype = activation_dtype(args.weight, stream.device(), "embedding_forward: weight");
  expect_dense(args.weight, {kAny, kAny}, dtype, "embedding_forward: weight");
  expect_dense(args.y, {args.ids.dims[0], args.weight.dims[1]}, dtype, "embedding_forward: y");
  if (args.y.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::embedding_forward(args, stream)
                                         : cuda::embedding_forward(args, stream);
}

void embedding_backward(const EmbeddingBackward& args, Stream& stream) {
  expect_ints(args.ids, {kAny}, "embedding_backward: ids");
  expect_floats(args.dweight, {kAny, kAny}, "embedding_backward: dweight");
  const auto dtype = activation_dtype(args.dy, stream.device(), "embedding_backward: dy");
  expect_dense(args.dy, {args.ids.dims[0], args.dweight.dims[1]}, dtype, "embedding_backward: dy");
  if (args.dy.count() == 0 || args.dweight.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::embedding_backward(args, stream)
                                         : cuda::embedding_backward(args, stream);
}

}  // namespace fulgur
