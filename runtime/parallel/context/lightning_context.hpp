#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/context.hpp"
#include "kernels/lightning_attention.hpp"
#include "recipes/token_runs.hpp"
#include "runtime/parallel/context/context_group.hpp"

namespace fulgur {

// Lightning attention of sequences that are cut over the cp ranks (docs/math.md 2.2).
//
// Each chunk has a state: that behind its last token, counted from the chunk's begin or from the
// last document start in it. What enters a chunk is the sum of earlier states, each decayed over
// the tokens between, back to the last document start. So the ranks exchange one [H, d, d] state
// per chunk, whatever the length of the sequence; the backward pass mirrors this with the gradients
// of states. How they travel:
//
//   kLaspPlus   one all-gather per layer and direction, while the outputs that need no state from
//               elsewhere are calculated; then each rank sums up what enters its chunks
//   kLasp       from chunk to chunk, each rank waiting for the one before (arXiv 2404.02882): the
//               sequential way, for comparison
//
// With cp = 1 there is one kernel call over whole documents, and nothing is exchanged or copied.

// A rank's chunk in every sequence: their states lie in the slots first_slot .. first_slot +
// sequences - 1. `before` and `behind` are the ranks that have the neighbouring chunks, perhaps
// this rank itself, or -1 at the ends of the sequence.
struct ChunkLink {
  std::int64_t first_slot = 0;
  int before = -1, behind = -1;
};

// Where documents and chunks lie on this rank, for all lightning layers of a micro-batch. The
// tables live in the arena of the context that it was made with.
struct LightningPlan {
  std::int64_t slots = 0;      // chunk states of this rank, as many on every rank; 0 when cp = 1
  LightningSegments segments;  // the documents of this rank's rows, cut at the ends of its chunks
  Tensor no_slot;              // [S] int32, all -1: instead of the segments' slots

  // [slots, cp slots] int32: the tokens between a chunk and each chunk of each rank on that side of
  // it, -1 where no document spans both. As lightning_fold takes it.
  Tensor from_left, from_right;

  std::vector<ChunkLink> links;  // this rank's chunks of a sequence, in their order
  Tensor
      through;  // [links, sequences, sequences] int32: on the diagonals the length of a chunk that
                // a state passes through, -1 if a document starts in it; -1 elsewhere
};

// The plan of rank (dp, cp). documents[s] are the document starts of its dp rank's s-th sequence,
// from 0 to the sequence's end, both included. The upload is queued on ctx.stream. Throws
// std::invalid_argument when the documents do not fit the grid.
LightningPlan make_lightning_plan(const Context& ctx, const TokenGrid& grid, int dp, int cp,
                                  std::span<const std::vector<std::int32_t>> documents);

// Tensors are those of kernels/lightning_attention.hpp, with the rows that token_runs.hpp gives
// this rank. states_in is written by the forward call and read by the backward call; it has no
// memory when the plan has no slots. Gradients are overwritten.
//
// Both calls are collective over the group. The work is queued on ctx.stream and group.stream;
// ctx.stream ends behind all of it, so a tensor may go when ctx.stream has passed the call.
// Exchanged per rank: cp slots H d d float32 by LASP+, slots H d d by the ring.
struct LightningContextForward {
  Tensor q, k, v;     // [T, H, d]
  Tensor decay_rate;  // [H]
  const LightningPlan& plan;
  Tensor states_in;  // [slots, H, d, d]
  Tensor o;          // [T, H, d]
};
struct LightningContextBackward {
  Tensor q, k, v, dout;
  Tensor decay_rate;
  const LightningPlan& plan;
  Tensor states_in;
  Tensor dq, dk, dv;
};
void lightning_context_forward(const Context& ctx, const ContextGroup& group,
                               const LightningContextForward& args);
void lightning_context_backward(const Context& ctx, const ContextGroup& group,
                                const LightningContextBackward& args);

}  // namespace fulgur
