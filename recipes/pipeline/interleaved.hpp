#pragma once

#include <vector>

#include "recipes/pipeline/schedule.hpp"

namespace fulgur {

// Forwards and backwards of interleaved 1F1B in the order that every stage keeps: micro-batches in
// groups of at most `stages`, of sizes that differ by at most one; within a group piece after piece,
// backwards the last piece first. As many of both, [micro_batches * virtual_stages].
struct InterleavedOrder {
  std::vector<Pass> forwards;
  std::vector<Pass> backwards;
};
InterleavedOrder interleaved_order(const PipelineShape& shape);

// Interleaved 1F1B (arXiv 2104.04473, section 2.2) of one stage.
//
// Where `stages` divides the micro-batches: 2 (p-s-1) + (v-1) p forwards, then forward and backward in
// turn, then the backwards that are left.
//
// Otherwise groups are smaller than a round of the stages, and that order could wait for itself: stage 0
// would need a piece from the last stage that comes after a backward which stage 0 has put behind it. So
// the passes of all stages are dealt out at unit costs, tick by tick: a stage that is idle does its next
// forward, if the input is there and at most 2 (p-s-1) + (v-1) p others are in flight, else its next
// backward. An order that was carried out once cannot wait for itself. Some stage can always go on: take
// the first backward, in the common order, that some stage lacks. A stage that lacks it has at most
// (v-1) p more forwards to do than it has done backwards, before it has all that it needs, and its bound
// allows one more than that.
//
// REQUIRES: the checks of pipeline_schedule().
std::vector<Pass> interleaved_schedule(const PipelineShape& shape, int stage);

}  // namespace fulgur
