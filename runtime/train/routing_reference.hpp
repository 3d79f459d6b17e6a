#pragma once

#include <filesystem>
#include <optional>

#include "runtime/checkpoint/reader.hpp"
#include "runtime/train/step_pipeline.hpp"

namespace fulgur {

// The router's probabilities of a recorded run (step_recorder.hpp), as they lie on one rank of another
// layout.
//
// Threads. One thread. Cost: every rank reads its rows, and checks the whole shards that hold them.
class RoutingReference {
 public:
  // `checkpoints` are those of the recorded run. `mesh` outlives this.
  RoutingReference(std::filesystem::path checkpoints, const Mesh& mesh);

  // For StepData::reference of a step, which counts from 1; good until the next call. This call and the
  // result throw CheckpointError when the record lacks the step, or has not the sizes of the batch.
  RoutingSource of_step(std::int64_t step);

 private:
  Tensor read(const Context& ctx, const Batch& batch, std::int64_t micro_batch, std::int64_t layer);

  std::filesystem::path checkpoints_;
  const Mesh& mesh_;
  std::optional<CheckpointReader> record_;  // of the step
};

}  // namespace fulgur
