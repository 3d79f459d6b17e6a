#include "kernels/softmax_merge.hpp"

#include "kernels/checks.hpp"
#include "kernels/heads.hpp"
#include "kernels/softmax_merge_impl.hpp"

namespace fulgur {

void softmax_merge(const SoftmaxMerge& args, Stream& stream) {
  expect_heads(args.o, {kAny, kAny, kAny}, "softmax_merge: o",
               activation_dtype(args.o, stream.device(), "softmax_merge: o"));
  expect_heads(args.part_o, args.o.dims, "softmax_merge: part_o",
               activation_dtype(args.part_o, stream.device(), "softmax_merge: part_o"));
  expect_floats(args.lse, {args.o.dims[0], args.o.dims[1]}, "softmax_merge: lse");
  expect_floats(args.part_lse, args.lse.dims, "softmax_merge: part_lse");
  if (args.o.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::softmax_merge(args, stream)
                                         : cuda::softmax_merge(args, stream);
}

}  // namespace fulgur
