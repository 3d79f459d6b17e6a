#include "kernels/rms_norm.hpp"

#include "kernels/checks.hpp"
#include "kernels/rms_norm_impl.hpp"

namespace fulgur {

void rms_norm_forward(const RmsNormForward& args, Stream& stream) {
  expect_floats(args.x, {kAny, kAny}, "rms_norm_forward: x");
  const auto T = args.x.dims[0], C = args.x.dims[1];
  expect_floats(args.weight, {C}, "rms_norm_forward: weight");
  expect_floats(args.y, {T, C}, "rms_norm_forward: y");
  expect_floats(args.rstd, {T}, "rms_norm_forward: rstd");
  if (T == 0 || C == 0) return;
  return stream.device() == Device::kCpu ? cpu::rms_norm_forward(args, stream)
                                         : cuda::rms_norm_forward(args, stream);
}

void rms_norm_backward(const RmsNormBackward& args, Stream& stream) {
  expect_floats(args.x, {kAny, kAny}, "rms_norm_backward: x");
  const auto T = args.x.dims[0], C = args.x.dims[1];
  expect_floats(args.dy, {T, C}, "rms_norm_backward: dy");
  expect_floats(args.weight, {C}, "rms_norm_backward: weight");
  expect_floats(args.rstd, {T}, "rms_norm_backward: rstd");
  expect_floats(args.dx, {T, C}, "rms_norm_backward: dx");
  expect_floats(args.dweight, {C}, "rms_norm_backward: dweight");
  if (T == 0 || C == 0) return;
  return stream.device() == Device::kCpu ? cpu::rms_norm_backward(args, stream)
                                         : cuda::rms_norm_backward(args, stream);
}

}  // namespace fulgur
