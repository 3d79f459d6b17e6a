#pragma once

#include <vector>

#include "kernels/readback.hpp"
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
    double flags = 0;     // of all ranks
    double gradient_norm = 0;  // before clipping
    RoutingTotals routing;
  };
  struct Update {
    std::int64_t step = 1;  // counts from 1
    double learning_rate = 0;
    double flag = 0;  // added up over the ranks, by which they agree on something
  };
  // Queues the passes of a step: the gradients of all parameters, summed over the ranks.
  void run_passes(const StepData& data);
  // Behind run_passes(): queues the update of the weights, waits for the passes but not for the update,
  // and returns what they amounted to. So the GPU is busy while the caller prepares the next step.
  Sums finish_step(const Update& update);

  // Waits for all that is queued, and throws what has failed. Before a replica goes whose work is done: a
  // mesh that stops aborts what is on its way to other ranks.
  void wait() { mesh_.synchronize(stream_); }

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
  Tensor sums_;  // [4] float64: loss, aux_loss, flags, squares of the gradient
  Readback readback_;
};

}  // namespace fulgur
