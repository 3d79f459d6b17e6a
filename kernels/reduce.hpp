#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// out[0] += sum of x^2, accumulated in float64 in a fixed order.   x [n] float32   out [1] float64
struct SumOfSquares {
  Tensor x, out;
};
void sum_of_squares(const SumOfSquares& args, Stream& stream);

}  // namespace fulgur
