#pragma once

#include "kernels/softmax_attention.hpp"

namespace fulgur::cpu {
void softmax_attention_forward(const SoftmaxAttentionForward& args, Stream& stream);
void softmax_attention_backward(const SoftmaxAttentionBackward& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void softmax_attention_forward(const SoftmaxAttentionForward& args, Stream& stream);
void softmax_attention_backward(const SoftmaxAttentionBackward& args, Stream& stream);
}  // namespace fulgur::cuda
