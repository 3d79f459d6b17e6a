#pragma once

#include "kernels/token_permutation.hpp"

namespace fulgur::cpu {
void sort_by_expert(const SortByExpert& args, Stream& stream);
void permute_forward(const PermuteForward& args, Stream& stream);
void permute_backward(const PermuteBackward& args, Stream& stream);
void combine_forward(const CombineForward& args, Stream& stream);
void combine_backward(const CombineBackward& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void sort_by_expert(const SortByExpert& args, Stream& stream);
void permute_forward(const PermuteForward& args, Stream& stream);
void permute_backward(const PermuteBackward& args, Stream& stream);
void combine_forward(const CombineForward& args, Stream& stream);
void combine_backward(const CombineBackward& args, Stream& stream);
}  // namespace fulgur::cuda
