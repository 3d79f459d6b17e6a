#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Top-k routing of tokens to experts (docs/math.md 1.3):
//
//   p       = softmax(logits[t]) over the E experts
//   experts = the k experts with the largest p, in falling order; on a tie the lower expert first
//   weights = their p, divided by the sum of these k
//
//   logits, probabilities [T, E] float32   weights [T, k] float32   experts [T, k] int32
//   counts [E] int32: += the tokens routed to e     probability_sums [E] float64: += sum over t of p_e
//
// All dense; 1 <= k <= E. probabilities (p) is kept for the backward pass, and may be logits.
struct RouterForward {
  Tensor logits, probabilities, weights, experts, counts, probability_sums;
};

// dlogits [T, E] (overwritten): the gradient through weights (dweights [T, k]) and through p, of which
// every token has the same gradient dprobability [E] float32, that of the auxiliary loss.
//
// With s = sum of the k chosen p, for a chosen e = experts[t, j]:
//   dp_e      = dprobability_e + (dweights_j - sum_i dweights_i weights_i) / s,  dprobability_e for the others
//   dlogits_e = p_e (dp_e - sum_i p_i dp_i)
//
// The choice itself has no gradient. experts is what the forward pass wrote, dropped ones included.
struct RouterBackward {
  Tensor dweights, dprobability, probabilities, weights, experts, dlogits;
};

// Takes another run's choice for the tokens of which rounding alone can have decided it. `reference` [T, E]
// are the probabilities of that run. Where its k-th largest and the next one are near,
//
//   p_k - p_(k+1) <= gap p_k,
//
// and the k experts that it chose are not those of this run: experts = those of the reference, in its
// order; weights as in router_forward, of this run's probabilities; counts as if these had been chosen;
// replayed [1] int32 += 1. Everything else stays as router_forward left it.
struct RouterReplay {
  Tensor reference, probabilities, weights, experts, counts, replayed;
  double gap = 0;
};

// Throw std::invalid_argument, naming the tensor, when dims or dtypes do not fit together; the queued work
// of router_backward and router_replay does so for an expert outside [0, E).
// Cost: O(T E k).
void router_forward(const RouterForward& args, Stream& stream);
void router_backward(const RouterBackward& args, Stream& stream);
void router_replay(const RouterReplay& args, Stream& stream);

}  // namespace fulgur
