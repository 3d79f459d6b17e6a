#include "kernels/rms_norm.hpp"

#include <stdexcept>
#include <string>

#include "kernels/checks.hpp"
#include "kernels/rms_norm_impl.hpp"

namespace fulgur {
namespace {

void expect_parts(const RmsNormParts& parts, std::int64_t T, const std::string& name) {
  if (parts.sums.data == nullptr) return;
  expect_dense(parts.sums, {T}, DType::kFloat64, name + ": sums");
  if (parts.width < 1) throw std::invalid_argument(name + ": width: expected 1 or more");
}

}  // namespace

void rms_norm_forward(const RmsNormForward& args, Stream& stream) {
  const auto dtype = activation_dtype(args.x, stream.device(), "rms_norm_forward: x");
  expect_dense(args.x, {kAny, kAny}, dtype, "rms_norm_forward: x");
  const auto T = args.x.dims[0], C = args.x.dims[1];
  expect_floats(args.weight, {C}, "rms_norm_forward: weight");
  expect_dense(args.y, {T, C}, dtype, "rms_norm_forward: y");
  expect_floats(args.rstd, {T}, "rms_norm_forward: rstd");
  expect_parts(args.parts, T, "rms_norm_forward");
  if (T == 0 || C == 0) return;
  return stream.device() == Device::kCpu ? cpu::rms_norm_forward(args, stream)
                                         : cuda::rms_norm_forward(args, stream);
}

void rms_norm_backward(const RmsNormBackward& args, Stream& stream) {
  const auto dtype = activation_dtype(args.x, stream.device(), "rms_norm_backward: x");
  expect_dense(args.x, {kAny, kAny}, dtype, "rms_norm_backward: x");
  const auto T = args.x.dims[0], C = args.x.dims[1];
  expect_dense(args.dy, {T, C}, dtype, "rms_norm_backward: dy");
  expect_floats(args.weight, {C}, "rms_norm_backward: weight");
  expect_floats(args.rstd, {T}, "rms_norm_backward: rstd");
  expect_dense(args.dx, {T, C}, dtype, "rms_norm_backward: dx");
  expect_floats(args.dweight, {C}, "rms_norm_backward: dweight");
  expect_parts(args.parts, T, "rms_norm_backward");
  if (T == 0 || C == 0) return;
  return stream.device() == Device::kCpu ? cpu::rms_norm_backward(args, stream)
                                         : cuda::rms_norm_backward(args, stream);
}

void rms_norm_squares(const RmsNormSquares& args, Stream& stream) {
  const auto dtype = activation_dtype(args.x, stream.device(), "rms_norm_squares: x");
  expect_dense(args.x, {kAny, kAny}, dtype, "rms_norm_squares: x");
  expect_dense(args.sums, {args.x.dims[0]}, DType::kFloat64, "rms_norm_squares: sums");
  if (args.x.dims[0] == 0) return;
  return stream.device() == Device::kCpu ? cpu::rms_norm_squares(args, stream)
                                         : cuda::rms_norm_squares(args, stream);
}

void rms_norm_dots(const RmsNormDots& args, Stream& stream) {
  const auto dtype = activation_dtype(args.x, stream.device(), "rms_norm_dots: x");
  expect_dense(args.x, {kAny, kAny}, dtype, "rms_norm_dots: x");
  const auto T = args.x.dims[0], C = args.x.dims[1];
  expect_dense(args.dy, {T, C}, dtype, "rms_norm_dots: dy");
  expect_floats(args.weight, {C}, "rms_norm_dots: weight");
  expect_dense(args.sums, {T}, DType::kFloat64, "rms_norm_dots: sums");
  if (T == 0) return;
  return stream.device() == Device::kCpu ? cpu::rms_norm_dots(args, stream)
                                         : cuda::rms_norm_dots(args, stream);
}

}  // namespace fulgur
