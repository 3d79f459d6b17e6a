#include "kernels/tensor.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>

namespace fulgur {
namespace {

[[noreturn]] void refuse(std::string_view name, const std::string& expected,
                         const std::string& got) {
  throw std::invalid_argument(std::string(name) + ": expected " + expected + ", got " + got);
}

Shape row_major(const Shape& dims) {
  Shape strides = dims;
  std::int64_t stride = 1;
  for (int i = dims.size() - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= dims[i];
  }
  return strides;
}

Shape without(const Shape& shape, int dim) {
  std::array<std::int64_t, Shape::kMaxDims> kept{};
  std::size_t size = 0;
  for (int i = 0; i < shape.size(); ++i) {
    if (i != dim) kept[size++] = shape[i];
  }
  return Shape(std::span<const std::int64_t>(kept.data(), size));
}

void expect_inside(const Tensor& tensor, int dim, std::int64_t begin, std::int64_t length) {
  if (dim < 0 || dim >= tensor.dims.size() || begin < 0 || length < 0 ||
      begin + length > tensor.dims[dim]) {
    throw std::invalid_argument("tensor " + to_string(tensor.dims) + ": dim " +
                                std::to_string(dim) + " has no part [" + std::to_string(begin) +
                                ", " + std::to_string(begin + length) + ")");
  }
}

void* advance(const Tensor& tensor, std::int64_t elements) {
  if (tensor.data == nullptr) return nullptr;
  return static_cast<std::byte*>(tensor.data) +
         elements * static_cast<std::int64_t>(size_bytes(tensor.dtype));
}

}  // namespace

std::size_t size_bytes(DType dtype) noexcept {
  switch (dtype) {
    case DType::kUInt8:
      return 1;
    case DType::kBFloat16:
      return 2;
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kFloat64:
    case DType::kInt64:
      return 8;
  }
  return 0;
}

std::string_view to_string(DType dtype) noexcept {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kFloat64:
      return "float64";
    case DType::kInt32:
      return "int32";
    case DType::kInt64:
      return "int64";
    case DType::kUInt8:
      return "uint8";
  }
  return "?";
}

std::string_view to_string(Device device) noexcept {
  return device == Device::kCpu ? "cpu" : "cuda";
}

Shape::Shape(std::initializer_list<std::int64_t> dims)
    : Shape(std::span<const std::int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) : size_(static_cast<int>(dims.size())) {
  if (dims.size() > static_cast<std::size_t>(kMaxDims)) {
    throw std::invalid_argument("shape: at most " + std::to_string(kMaxDims) + " dims, got " +
                                std::to_string(dims.size()));
  }
  std::copy(dims.begin(), dims.end(), dims_.begin());
}

std::int64_t Shape::count() const noexcept {
  return std::accumulate(begin(), end(), std::int64_t{1}, std::multiplies<>());
}

bool operator==(const Shape& a, const Shape& b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

std::string to_string(const Shape& shape) {
  std::string text = "[ ";
  for (const auto dim : shape) {
    text += dim == kAny ? std::string("?") : std::to_string(dim);
    text += ' ';
  }
  return text + "]";
}

Tensor Tensor::contiguous(void* data, DType dtype, const Shape& dims) {
  Tensor tensor;
  tensor.data = data;
  tensor.dtype = dtype;
  tensor.dims = dims;
  tensor.strides = row_major(dims);
  return tensor;
}

bool Tensor::is_contiguous() const noexcept {
  if (count() == 0) return true;
  std::int64_t stride = 1;
  for (int i = dims.size() - 1; i >= 0; --i) {
    if (dims[i] != 1 && strides[i] != stride)
      return false;  // the stride of one element is never used
    stride *= dims[i];
  }
  return true;
}

Tensor Tensor::slice(int dim, std::int64_t begin, std::int64_t length) const {
  expect_inside(*this, dim, begin, length);
  Tensor part = *this;
  part.data = advance(*this, begin * strides[dim]);
  part.dims[dim] = length;
  return part;
}

Tensor Tensor::select(int dim, std::int64_t index) const {
  expect_inside(*this, dim, index, 1);
  Tensor part = *this;
  part.data = advance(*this, index * strides[dim]);
  part.dims = without(dims, dim);
  part.strides = without(strides, dim);
  return part;
}

Tensor Tensor::view(const Shape& new_dims) const {
  expect_contiguous(*this, "view");
  if (new_dims.count() != count())
    refuse("view", "the count of " + to_string(dims), to_string(new_dims));
  return contiguous(data, dtype, new_dims);
}

void Tensor::throw_wrong_type(DType dtype, DType asked) {
  refuse("tensor", "elements of " + std::string(to_string(dtype)), std::string(to_string(asked)));
}

void expect_dims(const Tensor& tensor, const Shape& dims, std::string_view name) {
  const bool fits = std::equal(
      dims.begin(), dims.end(), tensor.dims.begin(), tensor.dims.end(),
      [](std::int64_t expected, std::int64_t got) { return expected == kAny || expected == got; });
  if (!fits) refuse(name, "dims " + to_string(dims), to_string(tensor.dims));
}

void expect_dtype(const Tensor& tensor, DType dtype, std::string_view name) {
  if (tensor.dtype == dtype) return;
  refuse(name, "dtype " + std::string(to_string(dtype)), std::string(to_string(tensor.dtype)));
}

void expect_contiguous(const Tensor& tensor, std::string_view name) {
  if (tensor.is_contiguous()) return;
  refuse(name, "a contiguous tensor",
         "dims " + to_string(tensor.dims) + " with strides " + to_string(tensor.strides));
}

void expect_dense_rows(const Tensor& tensor, std::string_view name) {
  const int last = tensor.dims.size() - 1;
  if (last < 0 || tensor.dims[last] <= 1 || tensor.strides[last] == 1) return;
  refuse(name, "stride 1 in the last dim", "strides " + to_string(tensor.strides));
}

}  // namespace fulgur
