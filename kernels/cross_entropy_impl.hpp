#pragma once

#include "kernels/cross_entropy.hpp"

namespace fulgur::cpu {
void cross_entropy_forward(const CrossEntropyForward& args, Stream& stream);
void cross_entropy_backward(const CrossEntropyBackward& args, Stream& stream);
void cross_entropy_loss(const CrossEntropyLoss& args, Stream& stream);
void combine_lse(const CombineLse& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void cross_entropy_forward(const CrossEntropyForward& args, Stream& stream);
void cross_entropy_backward(const CrossEntropyBackward& args, Stream& stream);
void cross_entropy_loss(const CrossEntropyLoss& args, Stream& stream);
void combine_lse(const CombineLse& args, Stream& stream);
}  // namespace fulgur::cuda
