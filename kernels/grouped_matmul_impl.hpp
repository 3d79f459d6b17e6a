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

// In bfloat16 on tensor cores. False, with nothing queued, where they do not fit: for rows that are not
// whole pieces of 16 bytes, and for more groups than they can count.
namespace fulgur::cuda::tensor_cores {
inline constexpr std::int64_t kMostGroups = 4096;
bool grouped_matmul(const GroupedMatMul& args, Stream& stream);
bool grouped_matmul_input_gradient(const GroupedMatMulInputGradient& args, Stream& stream);
bool grouped_matmul_weight_gradient(const GroupedMatMulWeightGradient& args, Stream& stream);
}  // namespace fulgur::cuda::tensor_cores
