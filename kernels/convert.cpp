#include "kernels/convert.hpp"

#include "kernels/checks.hpp"
#include "kernels/convert_impl.hpp"

namespace fulgur {
namespace {

void expect_float_or_bfloat16(const Tensor& tensor, const Shape& dims, const char* name) {
  const auto dtype = tensor.dtype == DType::kBFloat16 ? tensor.dtype : DType::kFloat32;
  expect_dense(tensor, dims, dtype, name);
}

}  // namespace

void convert(const Convert& args, Stream& stream) {
  expect_float_or_bfloat16(args.x, args.x.dims, "convert: x");
  expect_float_or_bfloat16(args.y, args.x.dims, "convert: y");
  if (args.x.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::convert(args, stream) : cuda::convert(args, stream);
}

}  // namespace fulgur
