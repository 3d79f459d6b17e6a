#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// out[0] += sum of x^2.            x [n] float32, dense   out [1] float64
//
// Accumulated in float64 in an order that depends on n alone, so that the same numbers always give the
// same bits. Throws std::invalid_argument, naming the tensor, for other dims or dtypes. Cost: O(n).
struct SumOfSquares {
  Tensor x, out;
};
void sum_of_squares(const SumOfSquares& args, Stream& stream);

}  // namespace fulgur
