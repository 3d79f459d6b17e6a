#pragma once

#include <string_view>

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// out[i] = std * normal(element first + i) of the sequence (seed, name): Philox4x32-10 keyed by the
// seed and the XXH3 hash of the name, counter = element, Box-Muller. A range of a tensor gets the same
// numbers whoever asks for it, so initial weights do not depend on the layout.
struct FillNormal {
  Tensor out;  // [n] float32
  std::uint64_t seed = 0;
  std::string_view name;
  std::int64_t first = 0;
  double std = 1.0;
};
void fill_normal(const FillNormal& args, Stream& stream);

// Host randomness from the same generator: uniform 64-bit numbers by (seed, name, counter).
std::uint64_t random_bits(std::uint64_t seed, std::string_view name, std::uint64_t counter);

}  // namespace fulgur
