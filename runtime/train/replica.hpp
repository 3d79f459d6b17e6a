#pragma once

#include <vector>

#include "runtime/optim/sharded_adamw.hpp"
#include "runtime/train/step_pipeline.hpp"

namespace fulgur {

// One rank's part of the model, of its optimizer and of a step's work.
class Replica {
 public:
  // Collective over all ranks of the job's layout. `job` and `mesh` outlive it.
  Replica(const Job& job, Mesh& mesh);
  ~Replica();  // stops the mesh
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Sums of a step over all ranks.
  struct Sums {
    double loss = 0;      // cross-entropy over the labelled tokens, not divided by their number
    double aux_loss = 0;  // as it enters the gradient
    double flags = 0;     // of all ranks: see run_passes()
  };
  // Queues the passes of a step: the gradients of all parameters, summed over the ranks.
  void run_passes(const StepData& data);
  // Behind optimizer().step() or before it: waits for the passes, and adds `flag` up over the ranks, by
  // which they agree on something.
  Sums sums(double flag = 0);

  ParameterSet& parameters() noexcept { return parameters_; }
  ShardedAdamW& optimizer() noexcept { return optimizer_; }
  StepPipeline& pipeline() noexcept { return pipeline_; }
  Stream& stream() noexcept { return stream_; }

 private:
  Mesh& mesh_;
  Stream stream_;
  std::vector<ModelPiece> pieces_;
  ParameterSet parameters_;
  ShardedAdamW optimizer_;
  StepPipeline pipeline_;
  Buffer sums_memory_;
  Tensor sums_;  // [3] float64: loss, aux_loss, flags
};

}  // namespace fulgur
