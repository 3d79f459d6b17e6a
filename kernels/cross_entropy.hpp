#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

inline constexpr std::int32_t kIgnoredLabel = -1;

// The two numbers per token from which the loss follows: loss[t] = lse[t] - target[t].
//   logits [T, V]   labels [T] int32   lse, target [T] float32
// lse is log(sum(exp(logits))) over these V columns; target the logit of the label, 0 when the label
// is ignored or lies outside [first_id, first_id + V). So a vocabulary cut over ranks combines.
struct CrossEntropyForward {
  Tensor logits, labels, lse, target;
  std::int32_t first_id = 0;
};
// In place: logits becomes scale (softmax - onehot(label)), and zeros in rows with an ignored label.
struct CrossEntropyBackward {
  Tensor logits, labels, lse;
  float scale = 1.0f;
  std::int32_t first_id = 0;
};
// loss[0] += sum of lse - target over the labelled tokens.    loss [1] float64
struct CrossEntropyLoss {
  Tensor lse, target, labels, loss;
};
void cross_entropy_forward(const CrossEntropyForward& args, Stream& stream);
void cross_entropy_backward(const CrossEntropyBackward& args, Stream& stream);
void cross_entropy_loss(const CrossEntropyLoss& args, Stream& stream);

}  // namespace fulgur
