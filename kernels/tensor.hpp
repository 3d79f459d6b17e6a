#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace fulgur {

enum class DType : std::uint8_t { kFloat32, kBFloat16, kFloat64, kInt32, kInt64, kUInt8 };
enum class Device : std::uint8_t { kCpu, kCuda };

std::size_t size_bytes(DType dtype) noexcept;
std::string_view to_string(DType dtype) noexcept;
std::string_view to_string(Device device) noexcept;

// The dtype whose elements are T; defined for the types below. bfloat16 elements are handled on the
// CPU as their bits.
template <class T>
extern const DType kDTypeOf;
template <>
inline constexpr DType kDTypeOf<float> = DType::kFloat32;
template <>
inline constexpr DType kDTypeOf<std::uint16_t> = DType::kBFloat16;
template <>
inline constexpr DType kDTypeOf<double> = DType::kFloat64;
template <>
inline constexpr DType kDTypeOf<std::int32_t> = DType::kInt32;
template <>
inline constexpr DType kDTypeOf<std::int64_t> = DType::kInt64;
template <>
inline constexpr DType kDTypeOf<std::uint8_t> = DType::kUInt8;

// The dims (or the strides) of a tensor: up to kMaxDims numbers held in place, so that making a
// view allocates nothing.
class Shape {
 public:
  static constexpr int kMaxDims = 5;

  Shape() = default;
  // Throws std::invalid_argument for more than kMaxDims numbers.
  Shape(std::initializer_list<std::int64_t> dims);
  explicit Shape(std::span<const std::int64_t> dims);

  int size() const noexcept { return size_; }
  std::int64_t operator[](int i) const noexcept { return dims_[static_cast<std::size_t>(i)]; }
  std::int64_t& operator[](int i) noexcept { return dims_[static_cast<std::size_t>(i)]; }
  const std::int64_t* begin() const noexcept { return dims_.data(); }
  const std::int64_t* end() const noexcept { return dims_.data() + size_; }

  std::int64_t count() const noexcept;  // product; 1 for no dims
  friend bool operator==(const Shape& a, const Shape& b) noexcept;

 private:
  std::array<std::int64_t, kMaxDims> dims_{};
  int size_ = 0;
};

std::string to_string(const Shape& shape);  // "[ 2 12 3 ]"

// A view of memory owned elsewhere (Buffer, Arena): cheap to copy, never frees anything.
//
// Element (i, j, ...) lies at data + (i strides[0] + j strides[1] + ...) elements. A tensor made
// with contiguous() is dense and row-major: the last dim varies fastest.
struct Tensor {
  void* data = nullptr;
  DType dtype = DType::kFloat32;
  Shape dims;
  Shape strides;  // elements, never bytes

  static Tensor contiguous(void* data, DType dtype, const Shape& dims);

  std::int64_t count() const noexcept { return dims.count(); }
  std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(count()) * size_bytes(dtype);
  }
  bool is_contiguous() const noexcept;

  // The part [begin, begin + length) of one dim; the part at `index` of a dim, without that dim.
  // Throw std::invalid_argument outside the dim.
  Tensor slice(int dim, std::int64_t begin, std::int64_t length) const;
  Tensor select(int dim, std::int64_t index) const;

  // The same elements with other dims. Throws std::invalid_argument unless the tensor is
  // contiguous and the counts agree.
  Tensor view(const Shape& new_dims) const;

  // The elements as T. Throws std::invalid_argument when T is not the dtype.
  template <class T>
  T* as() const {
    if (dtype != kDTypeOf<T>) throw_wrong_type(dtype, kDTypeOf<T>);
    return static_cast<T*>(data);
  }

 private:
  [[noreturn]] static void throw_wrong_type(DType dtype, DType asked);
};

// Throw std::invalid_argument, naming `name`, unless `tensor` is as said:
// "matmul: b: expected dims [ 12 ? ], got [ 3 5 ]". A dim given as kAny may have any length.
inline constexpr std::int64_t kAny = -1;
void expect_dims(const Tensor& tensor, const Shape& dims, std::string_view name);
void expect_dtype(const Tensor& tensor, DType dtype, std::string_view name);
void expect_contiguous(const Tensor& tensor, std::string_view name);
// The last dim has stride 1; the others may be strided.
void expect_dense_rows(const Tensor& tensor, std::string_view name);

}  // namespace fulgur
