#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels/tensor.hpp"

namespace fulgur::test {

// The distance of `got` from `expected` over the length of `expected`, both taken as one vector.
// Infinite when anything is not finite, or when the sizes differ.
template <class A, class B>
double relative_error(const std::vector<A>& got, const std::vector<B>& expected) {
  if (got.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto a = static_cast<double>(got[i]), b = static_cast<double>(expected[i]);
    difference += (a - b) * (a - b);
    norm += b * b;
  }
  const double error = norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
  return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
}

// The relative error allowed to an operation that rounds to `dtype` and adds up to `length` terms
// in float32: a few roundings, growing with the root of the length as random errors do.
inline double tolerance(DType dtype, std::int64_t length) {
  const double terms = std::sqrt(static_cast<double>(length < 1 ? 1 : length));
  switch (dtype) {
    case DType::kFloat64:
      return 1e-15 * terms;
    case DType::kFloat32:
      return 4 * 6e-8 + 6e-8 * terms;
    case DType::kBFloat16:
      return 4e-3 + 6e-8 * terms;
    default:
      throw std::invalid_argument("tolerance: integers compare exactly");
  }
}

// The relative error that one rounding to bfloat16 leaves in so many numbers: of each up to 2^-8,
// of many random ones 1.7e-3.
inline double rounding_bound(std::int64_t count) {
  constexpr std::int64_t kMany = 1000;
  return count < kMany ? 4e-3 : 2e-3;
}

}  // namespace fulgur::test
