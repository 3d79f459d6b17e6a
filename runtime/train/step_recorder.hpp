#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/checkpoint/shard_writer.hpp"
#include "runtime/optim/sharded_adamw.hpp"
#include "runtime/train/gradient_sums.hpp"
#include "runtime/train/host.hpp"
#include "runtime/train/recording.hpp"
#include "runtime/train/routing_reference.hpp"
#include "runtime/train/step_pipeline.hpp"

namespace fulgur {

// What a recorded step holds, in the order in which it is computed, so that the first tensor that differs
// between two runs is the first operation that does:
//
//   forward/<operation>.micro_batch.<m> [sequences, N, width]   activation_shapes(), of every micro-batch
//   gradient/<parameter>                                        of the whole batch, last layer first
//
// Of the activations, only the router's probabilities are recorded behind the first step: that is where
// an operation that differs shows, and the rest would fill the disk.
std::vector<TensorRecord> recorded_tensors(const Job& job, std::int64_t step);

// "forward/layers.2.router.micro_batch.0"
std::string forward_name(const std::string& operation, std::int64_t micro_batch);

// Saves what one rank computes in a step as pieces of logical tensors: a checkpoint like any other, whose
// commit checks that the ranks together hold every row and every gradient exactly once, and which reads
// the same whatever the layout was.
//
// Threads. One thread. Cost: waits for every recorded activation; host memory for those of one step.
class StepRecorder {
 public:
  // What is passed by reference outlives the recorder. Throws std::invalid_argument for double_sums on
  // several ranks.
  StepRecorder(const Job& job, const Mesh& mesh, std::span<const OwnedRange> owned, Host& host,
               const Recording& recording);

  // Sets the hooks of `data`, which are those of a step that counts from 1. Throws CheckpointError when
  // the reference lacks the step.
  void prepare(StepData& data, std::int64_t step, Stream& stream);

  // Behind the optimizer's step(): takes the gradients, and writes all that was recorded of manifest.step
  // to the run's checkpoints. Blocks until the host has committed it. Throws CheckpointError.
  void save(Manifest manifest, Stream& stream);

 private:
  void add(PieceRange range, std::span<const float> values);
  void observe(const Activation& activation, Stream& stream);

  const Job& job_;
  const Mesh& mesh_;
  std::span<const OwnedRange> owned_;
  Host& host_;
  std::optional<RoutingReference> reference_;
  std::optional<GradientSums> sums_;
  std::vector<PieceRange> ranges_;
  std::vector<float> values_;  // of the ranges, one behind the other
};

}  // namespace fulgur
