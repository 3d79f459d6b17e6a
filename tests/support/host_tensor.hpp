#pragma once

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "kernels/tensor.hpp"

namespace fulgur::test {

// A dense tensor on the host that owns its elements. It converts to the view that operations take;
// the view is valid as long as this object lives and is not moved or assigned.
template <class T>
class HostTensor {
 public:
  HostTensor() = default;
  explicit HostTensor(const Shape& dims, T value = {})
      : values(static_cast<std::size_t>(dims.count()), value), dims_(dims) {}
  HostTensor(const Shape& dims, std::vector<T> elements)
      : values(std::move(elements)), dims_(dims) {}

  const Shape& dims() const noexcept { return dims_; }
  Tensor tensor() { return Tensor::contiguous(values.data(), kDTypeOf<T>, dims_); }
  operator Tensor() { return tensor(); }

  // For the oracles, which calculate in float64.
  std::vector<double> doubles() const { return {values.begin(), values.end()}; }

  std::vector<T> values;

 private:
  Shape dims_;
};

using Floats = HostTensor<float>;
using Doubles = HostTensor<double>;
using Ints = HostTensor<std::int32_t>;

// Uniform in [low, high), the same for the same seed.
inline Floats random_floats(const Shape& dims, unsigned seed, float low = -1.0f,
                            float high = 1.0f) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  Floats out(dims);
  for (auto& x : out.values)
    x = uniform(generator);
  return out;
}

// Uniform in [low, high], both included.
inline Ints random_ints(const Shape& dims, unsigned seed, std::int32_t low, std::int32_t high) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<std::int32_t> uniform(low, high);
  Ints out(dims);
  for (auto& x : out.values)
    x = uniform(generator);
  return out;
}

}  // namespace fulgur::test
