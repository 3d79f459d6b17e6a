#pragma once

#include "recipes/cost/pass_time.hpp"
#include "recipes/cost/rank_shape.hpp"

namespace fulgur {

// When the layers of runtime/model are done: the operations of their forward and backward passes in
// their order, on the streams that they use, by the rates of the hardware. Counted are, with T tokens on
// the rank, T / tp rows, R rows of its experts, b bytes an element:
//
//   products   2 M N K each; backward two of them, for inputs and for weights
//   softmax    4 H d (n + 1) / 2 a token in documents of n; backward 2.5 times that
//   lightning  H (4 d^2 + 128 d) a token, as kernels do it in blocks of 64; backward 2.5 times that
//   memory     the bytes that element-wise operations read and write
//
// Over cp keys travel beside attention, states beside outputs, and over ep and etp one token group beside
// another's products, as in runtime/parallel; tp's collectives hold up the rest.

// What of a backward pass is done: a zero-bubble schedule puts off the gradients of weights.
enum class Gradients { kAll, kInputs };

void time_layer_forward(PassClock& clock, const RankShape& shape, AttentionKind kind,
                        double imbalance);
// With what is calculated again.
void time_layer_backward(PassClock& clock, const RankShape& shape, AttentionKind kind,
                         double imbalance, Gradients gradients);
// What kInputs leaves out.
void time_layer_weights(PassClock& clock, const RankShape& shape, AttentionKind kind,
                        double imbalance);

// Their parts.
void time_attention_forward(PassClock& clock, const RankShape& shape, AttentionKind kind);
void time_attention_backward(PassClock& clock, const RankShape& shape, AttentionKind kind,
                             Gradients gradients);
void time_attention_weights(PassClock& clock, const RankShape& shape, AttentionKind kind);
void time_experts_forward(PassClock& clock, const RankShape& shape, double imbalance);
void time_experts_backward(PassClock& clock, const RankShape& shape, double imbalance,
                           Gradients gradients);
void time_experts_weights(PassClock& clock, const RankShape& shape, double imbalance);

// Collectives of sequence parallelism on all rows of an activation; nothing with tp = 1.
void time_gather_rows(PassClock& clock, const RankShape& shape);
void time_scatter_sum(PassClock& clock, const RankShape& shape);

}  // namespace fulgur
