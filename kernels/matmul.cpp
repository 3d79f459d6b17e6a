#include "kernels/matmul.hpp"

#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/checks.hpp"
#include "kernels/matmul_impl.hpp"

namespace fulgur {
namespace {

void expect_matrix(const Tensor& tensor, const Shape& dims, DType dtype, const char* name) {
  expect_dims(tensor, dims, name);
  expect_dtype(tensor, dtype, name);
  expect_dense_rows(tensor, name);
  const auto rows = tensor.dims[0], columns = tensor.dims[1], stride = tensor.strides[0];
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();  // what BLAS can count
  if (rows > kMost || columns > kMost || (rows > 1 && stride > kMost)) {
    throw std::invalid_argument(std::string(name) + ": too large: " + to_string(tensor.dims));
  }
  if (rows > 1 && columns > 0 && stride < columns) {
    throw std::invalid_argument(std::string(name) + ": rows of " + std::to_string(columns) +
                                " overlap with stride " + std::to_string(stride));
  }
}

Shape oriented(std::int64_t rows, std::int64_t columns, Transpose transpose) {
  return transpose == Transpose::kYes ? Shape{columns, rows} : Shape{rows, columns};
}

}  // namespace

void matmul(const MatMul& args, Stream& stream) {
  const auto dtype = activation_dtype(args.a, stream.device(), "matmul: a");
  const bool c_has_it = args.c.dtype == dtype;
  expect_matrix(args.c, {kAny, kAny}, c_has_it ? dtype : DType::kFloat32, "matmul: c");
  expect_matrix(args.a, oriented(args.c.dims[0], kAny, args.transpose_a), dtype, "matmul: a");
  const auto K = args.a.dims[args.transpose_a == Transpose::kYes ? 0 : 1];
  expect_matrix(args.b, oriented(K, args.c.dims[1], args.transpose_b), dtype, "matmul: b");
  if (args.c.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::matmul(args, stream) : cuda::matmul(args, stream);
}

}  // namespace fulgur
