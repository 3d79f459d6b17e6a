#include <algorithm>
#include <stdexcept>

#include "recipes/cost/step_time.hpp"

namespace fulgur {
namespace {

constexpr double kNotYet = -1;

// Does the passes of all stages, each as soon as it can.
class Simulation {
 public:
  Simulation(const PipelineShape& shape, std::span<const std::vector<PassTimes>> times,
             double message)
      : shape_(shape),
        times_(times),
        message_(message),
        outputs_(size(shape.pieces()) * size(shape.micro_batches), kNotYet),
        gradients_(outputs_.size(), kNotYet) {
    for (int s = 0; s < shape.stages; ++s)
      stages_.push_back({.passes = pipeline_schedule(shape, s)});
  }

  PipelineTimes run() {
    for (bool works = true; works;) {
      works = false;
      for (int s = 0; s < shape_.stages; ++s) {
        while (do_next(s))
          works = true;
      }
    }
    PipelineTimes result;
    for (const auto& stage : stages_) {
      if (stage.next < stage.passes.size())
        throw std::logic_error("pipeline times: a schedule that waits for itself");
      result.makespan = std::max(result.makespan, stage.free);
      result.begin.push_back(stage.begin);
      result.end.push_back(stage.free);
      result.busy.push_back(stage.busy);
    }
    return result;
  }

 private:
  struct Stage {
    std::vector<Pass> passes;
    std::size_t next = 0;
    double begin = kNotYet, free = 0, busy = 0;
    double activations_sent = 0, gradients_sent = 0;  // when those pipes are free
  };

  static std::size_t size(int count) { return static_cast<std::size_t>(count); }
  double& at(std::vector<double>& when, int piece, int micro_batch) const {
    return when[size(piece) * size(shape_.micro_batches) + size(micro_batch)];
  }

  // When the pass has what it needs from others; kNotYet when that is not known.
  double ready(int piece, const Pass& pass) {
    if (pass.kind == PassKind::kForward)
      return piece == 0 ? 0 : at(outputs_, piece - 1, pass.micro_batch);
    if (pass.kind == PassKind::kBackwardWeight || piece == shape_.pieces() - 1) return 0;
    return at(gradients_, piece + 1, pass.micro_batch);
  }

  double seconds(int stage, const Pass& pass) const {
    const auto& piece = times_[size(stage)][size(pass.virtual_stage)];
    switch (pass.kind) {
      case PassKind::kForward:
        return piece.forward;
      case PassKind::kBackwardWeight:
        return piece.weights;
      case PassKind::kBackward:
      case PassKind::kBackwardInput:
        break;
    }
    return piece.backward;
  }

  // When a message that is made now is there; neighbours on the same rank need none.
  double arrival(double made, double& pipe) const {
    if (shape_.stages == 1) return made;
    pipe = std::max(pipe, made) + message_;
    return pipe;
  }

  bool do_next(int s) {
    auto& stage = stages_[size(s)];
    if (stage.next == stage.passes.size()) return false;
    const auto& pass = stage.passes[stage.next];
    const int piece = piece_of(shape_, s, pass);
    const double from = ready(piece, pass);
    if (from == kNotYet) return false;
    const double begin = std::max(stage.free, from), length = seconds(s, pass);
    if (stage.next == 0) stage.begin = begin;
    stage.free = begin + length;
    stage.busy += length;
    ++stage.next;
    if (pass.kind == PassKind::kForward) {
      if (piece + 1 < shape_.pieces())
        at(outputs_, piece, pass.micro_batch) = arrival(stage.free, stage.activations_sent);
    } else if (pass.kind != PassKind::kBackwardWeight && piece > 0) {
      at(gradients_, piece, pass.micro_batch) = arrival(stage.free, stage.gradients_sent);
    }
    return true;
  }

  PipelineShape shape_;
  std::span<const std::vector<PassTimes>> times_;
  double message_;
  std::vector<Stage> stages_;
  // [pieces, micro_batches] when they are where they are needed
  std::vector<double> outputs_, gradients_;
};

}  // namespace

PipelineTimes pipeline_times(const PipelineShape& shape,
                             std::span<const std::vector<PassTimes>> passes, double message) {
  return Simulation(shape, passes, message).run();
}

}  // namespace fulgur
