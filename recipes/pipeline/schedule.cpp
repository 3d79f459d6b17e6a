#include "recipes/pipeline/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "recipes/pipeline/interleaved.hpp"

namespace fulgur {
namespace {

constexpr int kMostForwards = 1 << 24;

void check(const PipelineShape& shape, int stage) {
  const auto refuse = [](const std::string& problem) {
    throw std::invalid_argument("pipeline schedule: " + problem);
  };
  if (shape.stages < 1 || shape.virtual_stages < 1 || shape.micro_batches < 1) {
    refuse(fmt::format("{} stages, {} virtual stages, {} micro-batches: all must be at least 1",
                       shape.stages, shape.virtual_stages, shape.micro_batches));
  }
  if (stage < 0 || stage >= shape.stages)
    refuse(fmt::format("stage {} is not one of {}", stage, shape.stages));
  const bool interleaved = shape.schedule == PipelineSchedule::kInterleaved;
  if (interleaved != (shape.virtual_stages > 1)) {
    refuse(fmt::format("{} virtual stages, but {}", shape.virtual_stages,
                       interleaved ? "interleaved 1F1B is for 2 or more"
                                   : "only interleaved 1F1B has more than 1"));
  }
  if (shape.virtual_stages > kMostForwards / shape.micro_batches) {
    refuse(fmt::format("{} virtual stages x {} micro-batches are more than {} forwards",
                       shape.virtual_stages, shape.micro_batches, kMostForwards));
  }
  if (shape.stages > kMostForwards / shape.virtual_stages) {
    refuse(fmt::format("{} stages x {} virtual stages are more than {} pieces", shape.stages,
                       shape.virtual_stages, kMostForwards));
  }
}

// Forwards until the first micro-batch comes back, then backward and forward in turn.
std::vector<Pass> one_forward_one_backward(const PipelineShape& shape, int stage) {
  const int warm_up = std::min(shape.micro_batches, shape.stages - stage - 1);
  std::vector<Pass> passes;
  passes.reserve(2 * static_cast<std::size_t>(shape.micro_batches));
  for (int forward = 0; forward < warm_up; ++forward)
    passes.push_back({PassKind::kForward, forward});
  for (int backward = 0; backward < shape.micro_batches; ++backward) {
    const int forward = backward + warm_up;
    if (forward < shape.micro_batches) passes.push_back({PassKind::kForward, forward});
    passes.push_back({PassKind::kBackward, backward});
  }
  return passes;
}

// As 1F1B, but the weights' gradients of a micro-batch follow only when `stage` later micro-batches
// have gone backward, so that every stage has up to `stages` micro-batches in flight; when no forward is
// left, one follows each backward of inputs, while that of the next micro-batch is awaited.
std::vector<Pass> zero_bubble_h1(const PipelineShape& shape, int stage) {
  const int warm_up = std::min(shape.micro_batches, shape.stages - stage - 1);
  std::vector<Pass> passes;
  passes.reserve(3 * static_cast<std::size_t>(shape.micro_batches));
  for (int forward = 0; forward < warm_up; ++forward)
    passes.push_back({PassKind::kForward, forward});
  int weight = 0;  // whose weights' gradients come next
  for (int backward = 0; backward < shape.micro_batches; ++backward) {
    const int forward = backward + warm_up;
    const bool steady = forward < shape.micro_batches;
    if (steady) passes.push_back({PassKind::kForward, forward});
    passes.push_back({PassKind::kBackwardInput, backward});
    if (!steady || backward - weight >= stage)
      passes.push_back({PassKind::kBackwardWeight, weight++});
  }
  while (weight < shape.micro_batches)
    passes.push_back({PassKind::kBackwardWeight, weight++});
  return passes;
}

}  // namespace

PipelineShape pipeline_shape(const Job& job) {
  return {.schedule = job.pipeline.schedule,
          .stages = job.layout.pp,
          .virtual_stages = static_cast<int>(job.pipeline.virtual_stages),
          .micro_batches = static_cast<int>(job.train.batch / job.train.micro_batch)};
}

int piece_of(const PipelineShape& shape, int stage, const Pass& pass) {
  return pass.virtual_stage * shape.stages + stage;
}

std::vector<Pass> pipeline_schedule(const PipelineShape& shape, int stage) {
  check(shape, stage);
  switch (shape.schedule) {
    case PipelineSchedule::k1F1B:
      return one_forward_one_backward(shape, stage);
    case PipelineSchedule::kInterleaved:
      return interleaved_schedule(shape, stage);
    case PipelineSchedule::kZeroBubble:
      return zero_bubble_h1(shape, stage);
  }
  throw std::invalid_argument("pipeline schedule: no such schedule");
}

}  // namespace fulgur
