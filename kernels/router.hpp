#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// p = softmax(logits) per token; the k largest, in falling order (lower expert first on a tie), with
// weights renormalised to sum 1.
//   logits, probabilities [T, E] float32   weights [T, k] float32   experts [T, k] int32
//   counts [E] int32: tokens routed to e (added to)   probability_sums [E] float64: sum of p (added to)
struct RouterForward {
  Tensor logits, probabilities, weights, experts, counts, probability_sums;
};
// dlogits [T, E] (overwritten) from dweights [T, k] and dprobability [E] float32: the gradient of the
// auxiliary loss with respect to every token's p_e, the same for all tokens.
struct RouterBackward {
  Tensor dweights, dprobability, probabilities, weights, experts, dlogits;
};
void router_forward(const RouterForward& args, Stream& stream);
void router_backward(const RouterBackward& args, Stream& stream);

}  // namespace fulgur
