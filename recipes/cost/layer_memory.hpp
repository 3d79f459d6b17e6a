#pragma once

#include "recipes/cost/arena_trace.hpp"
#include "recipes/cost/rank_shape.hpp"

namespace fulgur {

// What the layers of runtime/model allocate, tensor by tensor, in their order and scopes, so that the
// peak of an arena comes out and not only the sum of what is kept. A test runs both and compares them.
//
// kNone keeps all that backward reads; kSelective leaves out what attention's core and the experts'
// activation function give; kFull keeps only a layer's input.

// Where backward passes allocate: temporaries, and what products for weights read, which a zero-bubble
// schedule keeps longer; both may be the same arena.
struct ArenaTraces {
  ArenaTrace& work;
  ArenaTrace& operands;
};

// A decoder layer with attention of this kind. forward() leaves in `work` what it keeps.
void trace_layer_forward(const RankShape& shape, AttentionKind kind, double imbalance,
                         ArenaTrace& work);
void trace_layer_backward(const RankShape& shape, AttentionKind kind, double imbalance,
                          const ArenaTraces& arenas);

// Their parts.
void trace_attention_forward(const RankShape& shape, AttentionKind kind, ArenaTrace& work);
void trace_attention_backward(const RankShape& shape, AttentionKind kind,
                              const ArenaTraces& arenas);
void trace_experts_forward(const RankShape& shape, double imbalance, ArenaTrace& work);
void trace_experts_backward(const RankShape& shape, double imbalance, const ArenaTraces& arenas);

}  // namespace fulgur
