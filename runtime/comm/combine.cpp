#include "runtime/comm/combine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels/bfloat16.hpp"

namespace fulgur {
namespace {

template <class T>
T sum(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using Unsigned = std::make_unsigned_t<T>;  // wraps around, where signed overflow is undefined
    return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
  } else {
    return a + b;
  }
}

template <class T>
bool is_nan(T value) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(value);
  return false;
}

// Block by block, so that the running result stays in the first-level cache and the inner loop runs
// over elements, which the compiler turns into vector instructions.
template <class T, class Combine>
void combine_blocks(std::span<const void* const> sources, T* out, std::int64_t count,
                    Combine combine_two) {
  constexpr std::int64_t kBlock = 1024;
  std::array<T, kBlock> result;  // at most 8 KiB
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const auto length = static_cast<std::size_t>(std::min(kBlock, count - begin));
    std::copy_n(static_cast<const T*>(sources[0]) + begin, length, result.data());
    for (const void* source : sources.subspan(1)) {
      const T* from = static_cast<const T*>(source) + begin;
      for (std::size_t i = 0; i < length; ++i)
        result[i] = combine_two(result[i], from[i]);
    }
    std::copy_n(result.data(), length, out + begin);
  }
}

void sum_bfloat16(std::span<const void* const> sources, void* out, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    float sum = 0;
    for (const void* source : sources)
      sum += from_bfloat16(static_cast<const std::uint16_t*>(source)[i]);
    static_cast<std::uint16_t*>(out)[i] = to_bfloat16(sum);
  }
}

template <class T>
void combine_as(ReduceOp op, std::span<const void* const> sources, void* out, std::int64_t count) {
  auto* typed = static_cast<T*>(out);
  if (op == ReduceOp::kSum) {
    combine_blocks(sources, typed, count, [](T a, T b) { return sum(a, b); });
  } else {
    combine_blocks(sources, typed, count, [](T a, T b) { return a < b || is_nan(b) ? b : a; });
  }
}

}  // namespace

void combine(ReduceOp op, DType dtype, std::span<const void* const> sources, void* out,
             std::int64_t count) {
  if (sources.empty()) throw std::invalid_argument("combine: sources: expected at least one");
  switch (dtype) {
    case DType::kFloat32:
      return combine_as<float>(op, sources, out, count);
    case DType::kFloat64:
      return combine_as<double>(op, sources, out, count);
    case DType::kInt32:
      return combine_as<std::int32_t>(op, sources, out, count);
    case DType::kInt64:
      return combine_as<std::int64_t>(op, sources, out, count);
    case DType::kBFloat16:
      if (op == ReduceOp::kSum) return sum_bfloat16(sources, out, count);
      break;
    case DType::kUInt8:
      break;
  }
  throw std::invalid_argument("combine: expected a dtype of float32, float64, int32, int64, got " +
                              std::string(to_string(dtype)));
}

}  // namespace fulgur
