#pragma once

#include <span>
#include <vector>

#include "recipes/cost/model_state.hpp"
#include "recipes/cost/pass_time.hpp"
#include "recipes/cost/rank_shape.hpp"
#include "recipes/pipeline/schedule.hpp"

namespace fulgur {

// The passes of one piece of the model on one micro-batch.
struct PieceTime {
  PassTime forward, backward, weights;  // weights: only where the schedule puts them off
};
PieceTime piece_time(const Job& job, const RankShape& shape, const ModelPiece& piece,
                     const Rates& rates, double imbalance);

// When the passes of all stages are done, in the order of the job's schedule: a pass begins when its
// stage is free and its message has arrived; the messages of a pipe follow one another.
struct PassTimes {
  double forward = 0, backward = 0, weights = 0;
};
struct PipelineTimes {
  double makespan = 0;        // from the first pass of any stage to the end of the last one
  std::vector<double> begin;  // [stages] of the first pass
  std::vector<double> end;    // [stages] of the last pass
  std::vector<double> busy;   // [stages]
};
// passes[stage][virtual stage]; `message` is the time of one between neighbours.
PipelineTimes pipeline_times(const PipelineShape& shape,
                             std::span<const std::vector<PassTimes>> passes, double message);

// Where the time of a step goes on a rank of a stage; seconds. All stages have the same sum.
struct StageTime {
  PassTime work;      // all passes of the step, and the traffic of the step
  double bubble = 0;  // waits for other stages
  double reduction =
      0;  // of gradients, as far as it is not beside the last backward pass, and waits for it elsewhere
  double optimizer = 0;  // norm, update
  double gathering = 0;  // of weights, as far as the first forward pass waits for it

  double seconds() const { return work.seconds() + bubble + reduction + optimizer + gathering; }
};
struct StepTime {
  double seconds = 0;
  double bubble = 0;  // the part of a stage's passes that it waits, the mean of the stages: 0 to 1
  std::vector<StageTime> stages;
};
StepTime step_time(const Job& job, const Cluster& cluster, const Assumptions& assumptions);

}  // namespace fulgur
