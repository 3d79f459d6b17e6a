#pragma once

#include <span>

#include "runtime/comm/communicator.hpp"
#include "runtime/model/model.hpp"

namespace fulgur {

// The sums of a step over its micro-batches, on the device; each [1] float64.
struct StepSums {
  Tensor loss;      // cross-entropy over the labelled tokens of this rank
  Tensor aux_loss;  // of the global micro-batches: the same on every rank
};

// What the gradients of one step are made of.
struct GradientStep {
  const ModelSpec& model;
  std::int64_t labelled_tokens = 1;  // n, of the whole step over all ranks
  std::int64_t micro_batches = 1;    // in the step
};

// Adds one micro-batch's gradients: forward, the auxiliary loss over the global micro-batch (the
// samples of all `ranks` together), backward. `samples` are this rank's.
void add_gradients(const Context& ctx, const Model& model, const GradientStep& step,
                   std::span<const Sample> samples, Communicator& ranks, const StepSums& sums);

}  // namespace fulgur
