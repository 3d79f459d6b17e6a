#pragma once

#include <span>
#include <vector>

#include "recipes/pipeline/schedule.hpp"

namespace fulgur {

// Where a stage keeps what its forwards leave for its backwards. A micro-batch takes a slot of its piece
// from its forward to the end of its last pass on that piece: backward, or gradients of weights. The
// slots of a piece all have the same size, those of two pieces need not.
struct SlotPlan {
  std::vector<int> num_slots;  // [virtual_stages] the most micro-batches in flight in that piece
  int most_in_flight = 0;      // in all pieces of the stage together: the memory high-water mark
  std::vector<int> slot;       // [passes] the slot of each pass's micro-batch, 0 .. num_slots-1
};

// The slots of `passes`, the schedule of one stage: the lowest one that is free, so that there are as few
// as can be. REQUIRES: a schedule of pipeline_schedule(), or one that keeps its rules.
SlotPlan plan_slots(std::span<const Pass> passes, int virtual_stages);

// More micro-batches than these need no further slots: the pipeline is full, and each that begins
// follows one that ends. A multiple of the stages, as interleaved schedules want it.
int micro_batches_that_fill(const PipelineShape& shape);

}  // namespace fulgur
