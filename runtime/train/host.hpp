#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// What a step amounted to, the same on every rank; rank 0 reports it.
struct StepReport {
  std::int64_t step = 0;     // steps done, this one included
  std::int64_t tokens = 0;   // tokens seen since the start of the run
  double loss = 0;           // mean cross-entropy per labelled token, nats
  double aux_loss = 0;       // auxiliary loss as it enters the gradient (coefficient included)
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
  double seconds = 0;            // of this step
  double tokens_per_second = 0;  // of this step, all ranks together
  // How the step's tokens were routed (docs/math.md 1.3): assignments to each expert, layer after layer;
  // the part of them that experts with a capacity dropped; and what they would have dropped if every
  // rank had its share of the capacity for its own tokens.
  std::vector<std::int64_t> expert_counts;  // [L, E]
  double drop_rate = 0, local_drop_rate = 0;
  // Tokens, in all layers together, that took the choice of a reference (step_recorder.hpp).
  std::int64_t replayed = 0;
};

// What the work of one rank asks of the process around it. A worker answers over its control
// connection; tests answer from memory. All functions may be called from the training thread and from
// the checkpoint thread.
class Host {
 public:
  virtual ~Host() = default;

  // True once this rank should finish its step, checkpoint and stop. Ranks agree on the step themselves.
  virtual bool stop_requested() = 0;

  // Rank 0, after every step.
  virtual void report(const StepReport& report) = 0;

  // This rank occupies so many bytes (kernels/devices.hpp), after every step.
  virtual void occupies(std::int64_t bytes) = 0;

  // Progress for the watcher: the section the rank is in ("setup", "step 12", "checkpoint 100").
  virtual void enter(const std::string& section) = 0;

  // This rank's shard of the checkpoint lies in the staging folder, durable. `manifest` has no shards:
  // the coordinator joins those of all ranks and commits.
  virtual void shard_written(const Manifest& manifest, int rank, const ShardRecord& shard) = 0;
  // This rank's shard could not be written; the coordinator drops the checkpoint.
  virtual void shard_failed(std::int64_t step, int rank, const std::string& reason) = 0;

  // Blocks until the checkpoint of `step` is committed (true) or dropped (false).
  virtual bool wait_for_commit(std::int64_t step) = 0;

  // Text that the user should see as it comes (generation).
  virtual void print(const std::string& text) = 0;
};

}  // namespace fulgur
