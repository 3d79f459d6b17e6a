#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/context.hpp"
#include "kernels/tensor.hpp"
#include "recipes/token_runs.hpp"
#include "runtime/parallel/context/context_group.hpp"

namespace fulgur {

// Softmax attention of packed sequences that are cut over the cp ranks (docs/math.md 2.3; the ring
// is that of Ring Attention, arXiv 2310.01889).
//
// Keys and values go round the ranks: after hop i a rank has those of the rank i places before it,
// and attends to them while hop i + 1 is under way. Partial results merge by log-sum-exp in
// float32. Pairs of chunks that no document spans, or whose keys are in the future, cost nothing;
// when no rank needs a later hop, the ring ends early. In the backward pass the gradients of keys
// and values are summed up on the way, and the last rank that adds to them sends them home. Each
// rank's own share never travels, so they make one hop less than once around.
//
// With cp = 1 there is one kernel call over whole documents, and nothing is exchanged or copied.

// One kernel call: spans of kernels/softmax_attention.hpp, whose queries are counted from row
// q_begin on and whose keys are rows of the rank `hop` places before this one.
struct RingCall {
  int hop = 0;
  std::int64_t q_begin = 0, q_count = 0;
  Tensor spans;  // [P, 5] int32
};

// Who attends to what, for all softmax layers of a micro-batch. The tables live in the arena of the
// context that the plan was made with.
struct RingPlan {
  std::vector<std::int64_t> rows;  // [cp] of each rank
  int hops = 0;                    // of the keys and values, the same on every rank; below cp
  std::vector<RingCall> calls;     // by hop; the first one is for hop 0 and all rows
};

// The plan of rank (dp, cp). documents[s] are the document starts of its dp rank's s-th sequence,
// from 0 to the sequence's end, both included. The upload is queued on ctx.stream. Throws
// std::invalid_argument when the documents do not fit the grid.
RingPlan make_ring_plan(const Context& ctx, const TokenGrid& grid, int dp, int cp,
                        std::span<const std::vector<std::int32_t>> documents);

// Tensors are those of kernels/softmax_attention.hpp, with the rows that token_runs.hpp gives this
// rank for queries and for keys. The forward call overwrites o and lse; the backward call wants zeros
// in dq, dk and dv. Of bfloat16 tensors, what several hops add up is added up in float32 and rounded
// at the end.
//
// Both calls are collective over the group. The work is queued on ctx.stream and group.stream;
// ctx.stream ends behind all of it, so a tensor may go when ctx.stream has passed the call.
// Exchanged per rank and hop: 2 T G d elements, and in the backward pass as many float32 for the
// gradients. Scratch: two blocks of keys and values and one partial result; backward six such
// blocks.
struct RingAttentionForward {
  Tensor q;     // [T, H, d]
  Tensor k, v;  // [T, G, d]
  const RingPlan& plan;
  float scale = 1.0f;  // 1 / sqrt(d)
  Tensor o;            // [T, H, d]
  Tensor lse;          // [T, H]
};
struct RingAttentionBackward {
  Tensor dout, q, k, v, o, lse;
  const RingPlan& plan;
  float scale = 1.0f;
  Tensor dq, dk, dv;
};
void ring_attention_forward(const Context& ctx, const ContextGroup& group,
                            const RingAttentionForward& args);
void ring_attention_backward(const Context& ctx, const ContextGroup& group,
                             const RingAttentionBackward& args);

}  // namespace fulgur
