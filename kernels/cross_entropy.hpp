#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Cross-entropy of softmax(logits) with one label per token, for a vocabulary that may be cut over
// ranks: a call sees the columns of the ids first_id .. first_id + V - 1. The loss of token t is
// lse[t] - target[t] over the whole vocabulary.
//
//   logits [T, V] float32, or bfloat16 on a GPU   labels [T] int32   lse, target [T] float32
//
// All dense.

// A token with this label takes no part in the loss.
inline constexpr std::int32_t kIgnoredLabel = -1;

// lse[t]    = log(sum(exp(logits[t]))) over these V columns
// target[t] = the logit of the label; 0 when the label is ignored or not one of these columns
//
// Parts of a vocabulary combine: the log-sum-exp of the lse of the parts, and the sum of the targets.
// The maximum of the row is taken out before exp, so no finite logits overflow.
struct CrossEntropyForward {
  Tensor logits, labels, lse, target;
  std::int32_t first_id = 0;
};

// In place: logits becomes scale (exp(logits - lse) - onehot(label)), the gradient of scale times the
// loss, and zeros in the rows with an ignored label. lse is that of the whole vocabulary.
struct CrossEntropyBackward {
  Tensor logits, labels, lse;
  float scale = 1.0f;
  std::int32_t first_id = 0;
};

// loss[0] += sum of lse - target over the tokens whose label is not ignored, in float64.
//   loss [1] float64
struct CrossEntropyLoss {
  Tensor lse, target, labels, loss;
};

// lse[t] = log(sum over p of exp(parts[p, t])), the parts in rising p: that of a whole vocabulary from
// those of its parts.
//   parts [P, T], lse [T] float32, dense
struct CombineLse {
  Tensor parts, lse;
};

// Throw std::invalid_argument, naming the tensor, when dims or dtypes do not fit together, or V = 0.
// Cost: O(T V): a row is read once or twice forward, read and written once backward.
void cross_entropy_forward(const CrossEntropyForward& args, Stream& stream);
void cross_entropy_backward(const CrossEntropyBackward& args, Stream& stream);
void cross_entropy_loss(const CrossEntropyLoss& args, Stream& stream);
void combine_lse(const CombineLse& args, Stream& stream);

}  // namespace fulgur
