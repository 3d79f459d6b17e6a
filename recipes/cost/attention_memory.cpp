#include <optional>

#include "recipes/cost/layer_memory.hpp"

namespace fulgur {
namespace {

constexpr int kFloat = 4, kDouble = 8;

bool is_bfloat16(const RankShape& s) {
  return s.activation_bytes == 2;
}

std::int64_t state_elements(const RankShape& s) {
  return s.state_slots * s.heads * s.head_dim * s.head_dim;
}

// Keys and values of one rank.
std::int64_t block_elements(const RankShape& s) {
  return 2 * s.tokens * s.kv_heads * s.head_dim;
}

// All rows of an activation, where tp has cut them.
void allocate_whole_rows(const RankShape& s, ArenaTrace& arena) {
  if (s.layout.tp > 1) arena.allocate(s.tokens * s.hidden, s.activation_bytes);
}

void trace_state_exchange(const RankShape& s, ArenaTrace& work) {
  const bool gathers = s.lightning == LightningContext::kLaspPlus;
  work.allocate((gathers ? s.layout.cp : 1) * state_elements(s), kFloat);
}

// From the projections to what the output projection reads, which lies in `kept`.
void trace_lightning_core(const RankShape& s, ArenaTrace& work, ArenaTrace& kept) {
  const auto T = s.tokens, A = s.attention_width();
  work.allocate(T * 3 * A, s.activation_bytes);
  work.allocate(T * A, s.activation_bytes);
  work.allocate(T, kFloat);
  work.allocate(T * A, s.activation_bytes);
  kept.allocate(T * A, s.activation_bytes);
  if (s.state_slots > 0) {
    const ArenaTrace::Scope scope(work);
    trace_state_exchange(s, work);
  }
  const ArenaTrace::Scope scope(work);
  if (s.layout.tp > 1) work.allocate(T, kDouble);
}

// One partial result of a hop, and the sum of several in float32 where they are rounded.
void trace_softmax_core(const RankShape& s, ArenaTrace& work, ArenaTrace& kept) {
  const auto T = s.tokens, A = s.attention_width();
  kept.allocate(T * A, s.activation_bytes);
  work.allocate(T * s.heads, kFloat);
  if (s.layout.cp == 1) return;
  const ArenaTrace::Scope scope(work);
  if (is_bfloat16(s)) work.allocate(T * A, kFloat);
  for (int i = 0; i < 2; ++i)
    work.allocate(block_elements(s), s.activation_bytes);
  work.allocate(T * A, s.activation_bytes);
  work.allocate(T * s.heads, kFloat);
}

void trace_lightning_backward(const RankShape& s, const ArenaTraces& arenas) {
  auto& work = arenas.work;
  const auto T = s.tokens, A = s.attention_width();
  if (s.recompute == Recompute::kSelective) trace_lightning_core(s, work, arenas.operands);
  allocate_whole_rows(s, arenas.operands);
  work.allocate(T * A, s.activation_bytes);             // of what was gated
  arenas.operands.allocate(T * A, s.activation_bytes);  // of the gate
  work.allocate(T * A, s.activation_bytes);
  allocate_whole_rows(s, work);
  work.allocate(T * A, s.activation_bytes);  // of what attention gave
  if (s.layout.tp > 1) work.allocate(T, kDouble);
  arenas.operands.allocate(T * 3 * A, s.activation_bytes);
  if (s.state_slots == 0) return;
  const ArenaTrace::Scope scope(work);
  work.allocate(state_elements(s), kFloat);
  trace_state_exchange(s, work);
}

void trace_ring_backward(const RankShape& s, ArenaTrace& work) {
  if (s.layout.cp == 1) return;
  const ArenaTrace::Scope scope(work);
  if (is_bfloat16(s)) {
    work.allocate(s.tokens * s.attention_width(), kFloat);
    for (int i = 0; i < 2; ++i)
      work.allocate(block_elements(s) / 2, kFloat);
  }
  for (int i = 0; i < 2; ++i)
    work.allocate(block_elements(s), s.activation_bytes);
  for (int i = 0; i < 4; ++i)  // two shares, one that arrives, and the sum that comes home
    work.allocate(block_elements(s), kFloat);
  if (is_bfloat16(s)) work.allocate(s.tokens * s.attention_width(), s.activation_bytes);
}

void trace_softmax_backward(const RankShape& s, const ArenaTraces& arenas) {
  const auto T = s.tokens;
  if (s.recompute == Recompute::kSelective) trace_softmax_core(s, arenas.work, arenas.operands);
  allocate_whole_rows(s, arenas.operands);
  arenas.work.allocate(T * s.attention_width(), s.activation_bytes);
  arenas.operands.allocate(T * s.qkv_width(), s.activation_bytes);
  trace_ring_backward(s, arenas.work);
  allocate_whole_rows(s, arenas.work);
}

}  // namespace

void trace_attention_forward(const RankShape& s, AttentionKind kind, ArenaTrace& work) {
  const auto T = s.tokens;
  allocate_whole_rows(s, work);
  if (kind == AttentionKind::kLightning) {
    work.allocate(T * 3 * s.attention_width(), s.activation_bytes);
    work.allocate(T * s.attention_width(), s.activation_bytes);
    work.allocate(state_elements(s), kFloat);
  } else {
    work.allocate(T * s.qkv_width(), s.activation_bytes);
  }
  std::optional<ArenaTrace::Scope> not_kept;
  if (s.recompute == Recompute::kSelective) not_kept.emplace(work);
  kind == AttentionKind::kLightning ? trace_lightning_core(s, work, work)
                                    : trace_softmax_core(s, work, work);
  const ArenaTrace::Scope scope(work);
  allocate_whole_rows(s, work);
}

void trace_attention_backward(const RankShape& s, AttentionKind kind, const ArenaTraces& arenas) {
  const ArenaTrace::Scope scope(arenas.work);
  kind == AttentionKind::kLightning ? trace_lightning_backward(s, arenas)
                                    : trace_softmax_backward(s, arenas);
}

}  // namespace fulgur
