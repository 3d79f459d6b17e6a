#pragma once

#include <string_view>

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// out[i] = std times the normal number `first + i` of the sequence (seed, name).
//
//   out [n] float32, dense
//
// The numbers come from Philox4x32-10 (kernels/philox.hpp): block e / 4 of the sequence holds the
// elements e = 4b .. 4b + 3, two pairs by Box-Muller, computed in float64 and then rounded. The sequence
// of a name is set apart by the XXH3 hash of the name. So a range of a tensor gets the same numbers
// whoever asks for it, and initial weights do not depend on the layout. All numbers are finite: the
// largest possible is 6.7 std.
//
// Throws std::invalid_argument, naming the tensor or number, for other dims or dtypes or a negative
// first. Cost: O(n), one logarithm, sine and cosine for two elements.
struct FillNormal {
  Tensor out;
  std::uint64_t seed = 0;
  std::string_view name;
  std::int64_t first = 0;
  double std = 1.0;
};
void fill_normal(const FillNormal& args, Stream& stream);

// Host randomness from the same generator: the uniform 64-bit number `counter` of the sequence
// (seed, name). It shares its bits with block `counter` of fill_normal for the same seed and name: give
// the two different names.
std::uint64_t random_bits(std::uint64_t seed, std::string_view name, std::uint64_t counter);

}  // namespace fulgur
