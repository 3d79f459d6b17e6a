#include "kernels/reduce.hpp"

#include "kernels/checks.hpp"
#include "kernels/reduce_impl.hpp"

namespace fulgur {

void sum_of_squares(const SumOfSquares& args, Stream& stream) {
  expect_floats(args.x, {kAny}, "sum_of_squares: x");
  expect_dense(args.out, {1}, DType::kFloat64, "sum_of_squares: out");
  if (args.x.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::sum_of_squares(args, stream)
                                         : cuda::sum_of_squares(args, stream);
}

}  // namespace fulgur
