#pragma once

#include "kernels/softmax_merge.hpp"

namespace fulgur::cpu {
void softmax_merge(const SoftmaxMerge& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void softmax_merge(const SoftmaxMerge& args, Stream& stream);
}  // namespace fulgur::cuda
