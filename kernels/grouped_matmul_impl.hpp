#pragma once

#include "kernels/grouped_matmul.hpp"

namespace fulgur::cpu {
void grouped_matmul(const GroupedMatMul& args, Stream& stream);
void grouped_matmul_input_gradient(const GroupedMatMulInputGradient& args, Stream& stream);
void grouped_matmul_weight_gradient(const GroupedMatMulWeightGradient& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void grouped_matmul(const GroupedMatMul& args, Stream& stream);
void grouped_matmul_input_gradient(const GroupedMatMulInputGradient& args, Stream& stream);
void grouped_matmul_weight_gradient(const GroupedMatMulWeightGradient& args, Stream& stream);
}  // namespace fulgur::cuda
