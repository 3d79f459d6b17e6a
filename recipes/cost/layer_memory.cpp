#include "recipes/cost/layer_memory.hpp"

namespace fulgur {
namespace {

constexpr int kFloat = 4;

}  // namespace

void trace_layer_forward(const RankShape& s, AttentionKind kind, double imbalance,
                         ArenaTrace& work) {
  const auto activation = s.rows * s.hidden;
  work.allocate(s.rows, kFloat);
  for (int i = 0; i < 2; ++i)  // y, g
    work.allocate(activation, s.activation_bytes);
  work.allocate(s.rows, kFloat);
  work.allocate(activation, s.activation_bytes);  // h
  trace_attention_forward(s, kind, work);
  trace_experts_forward(s, imbalance, work);
}

void trace_layer_backward(const RankShape& s, AttentionKind kind, double imbalance,
                          const ArenaTraces& arenas) {
  const auto activation = s.rows * s.hidden;
  const ArenaTrace::Scope scope(arenas.work);
  for (int i = 0; i < 2; ++i)
    arenas.work.allocate(activation, s.activation_bytes);
  arenas.operands.allocate(activation, s.activation_bytes);
  trace_experts_backward(s, imbalance, arenas);
  arenas.operands.allocate(activation, s.activation_bytes);
  trace_attention_backward(s, kind, arenas);
}

}  // namespace fulgur
