#pragma once

#include <vector>

#include "recipes/job.hpp"

namespace fulgur {

// What a stage of a pipeline does, and in which order (docs/math.md 2.6). Everything here is a pure
// function of the shape: each rank makes its own list, and the lists of all ranks fit together.
//
// The model is cut into stages * virtual_stages pieces in the order of its layers. Stage s holds the
// pieces s, s + stages, s + 2 stages, ...: with virtual stages a micro-batch goes round the stages
// several times.

enum class PassKind {
  kForward,
  kBackward,        // gradients of inputs and weights
  kBackwardInput,   // gradients of inputs only: what the piece before waits for
  kBackwardWeight,  // gradients of weights: what nobody waits for
};

// One piece works on one micro-batch.
struct Pass {
  PassKind kind = PassKind::kForward;
  int micro_batch = 0;    // 0 .. micro_batches-1
  int virtual_stage = 0;  // 0 .. virtual_stages-1: which of the pieces of this stage

  friend bool operator==(const Pass&, const Pass&) = default;
};

struct PipelineShape {
  PipelineSchedule schedule = PipelineSchedule::k1F1B;
  int stages = 1;
  int virtual_stages = 1;  // pieces per stage: 1, for kInterleaved 2 or more
  int micro_batches = 1;   // of a step

  int pieces() const noexcept { return stages * virtual_stages; }
};

// That of a job's step. REQUIRES: a job that keeps the rules.
PipelineShape pipeline_shape(const Job& job);

// The piece of the model, 0 .. pieces()-1, that a pass on `stage` works on.
int piece_of(const PipelineShape& shape, int stage, const Pass& pass);

// The passes of a stage in the order in which it does them. They need of other stages:
//
//   forward of piece q                   the output of the forward of piece q-1
//   backward (of inputs) of piece q      the gradient from the backward (of inputs) of piece q+1
//
// and of their own stage that forward < backward < gradients of weights of a micro-batch and piece. Run
// in this order on every stage, no pass waits for ever, whatever the passes cost. Micro-batches go
// through each kind of pass of a piece in the order 0, 1, 2, ..., so sums of gradients are in that order.
//
// With p stages, v virtual stages, m micro-batches, unit costs forward 1 and backward 2 = 1 + 1, the
// waits of a stage from the first pass of any stage to the last one are the bubble:
//
//   schedule       source                      bubble              micro-batches in flight on stage s
//   k1F1B          PipeDream, arXiv 1806.03377 3 (p-1)             min(m, p-s)
//   kInterleaved   Megatron, arXiv 2104.04473  3 (p-1)             min(m v, 2 (p-s-1) + (v-1) p + 1) pieces
//   kZeroBubble    ZB-H1, arXiv 2401.10241     p-1 + max(0, p-m)   min(m, p)
//
// where a piece of kInterleaved costs 1 and 2, so its stage has v times as much work for the bubble of
// 1F1B. ZB-H1 puts off the gradients of weights and fills waits with them; a micro-batch then stays in
// flight until they are done, on every stage as long as on stage 0 of 1F1B. The bubble of kInterleaved
// holds where p divides m; otherwise it is larger, but at most 3 (p-1) v, that of 1F1B (interleaved.hpp).
//
// Throws std::invalid_argument for a stage that does not exist, sizes below 1, virtual stages that the
// schedule does not have, and more than 2^24 forwards of a stage. Cost: proportional to the passes of a
// stage; where interleaved.hpp says so, of all stages.
std::vector<Pass> pipeline_schedule(const PipelineShape& shape, int stage);

}  // namespace fulgur
