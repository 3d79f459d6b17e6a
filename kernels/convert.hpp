#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// y = x, or y += x, each element rounded to the dtype of y (to nearest, ties to even).
//
//   x, y: equal dims, dense, each float32 or bfloat16; y may be x when both have one dtype
//
// A sum is made in float32. Throws std::invalid_argument, naming the tensor, when dims or dtypes do not
// fit together. Cost: O(elements), one pass over the memory.
struct Convert {
  Tensor x, y;
  bool add = false;
};
void convert(const Convert& args, Stream& stream);

}  // namespace fulgur
