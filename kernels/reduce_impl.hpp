#pragma once

#include "kernels/reduce.hpp"

namespace fulgur::cpu {
void sum_of_squares(const SumOfSquares& args, Stream& stream);
void clip_scale(const ClipScale& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void sum_of_squares(const SumOfSquares& args, Stream& stream);
void clip_scale(const ClipScale& args, Stream& stream);
}  // namespace fulgur::cuda
