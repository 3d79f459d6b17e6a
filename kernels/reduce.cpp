#include "kernels/reduce.hpp"

#include <stdexcept>
#include <string>

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

void clip_scale(const ClipScale& args, Stream& stream) {
  expect_dense(args.squares, {1}, DType::kFloat64, "clip_scale: squares");
  expect_floats(args.scale, {1}, "clip_scale: scale");
  if (!(args.most > 0)) {
    throw std::invalid_argument("clip_scale: most: expected a number above 0, got " +
                                std::to_string(args.most));
  }
  return stream.device() == Device::kCpu ? cpu::clip_scale(args, stream)
                                         : cuda::clip_scale(args, stream);
}

}  // namespace fulgur
