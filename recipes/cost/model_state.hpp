#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "recipes/job.hpp"
#include "recipes/parameters.hpp"
#include "recipes/pipeline_layers.hpp"

namespace fulgur {

// Bytes of the model's state on every rank of a pipeline stage. With P parameters on the rank and n ranks
// that hold the same ones (ZeRO-1, docs/math.md 2.7; dp x cp x copies, for experts edp):
//
//   weights       2 P where they are rounded to bfloat16, else 4 P
//   gradients     4 P
//   optimizer     8 P / n of moments, and 4 P / n of exact weights beside rounded ones
//   reduced       4 P / n, the sums of gradients, where n > 1
//
// The ranks of a stage have equal parts of everything.
struct ModelState {
  std::int64_t parameters = 0;  // on this rank
  double weights = 0, gradients = 0, optimizer = 0, reduced = 0;

  double total() const { return weights + gradients + optimizer + reduced; }
};

// A group of parameters that a rank reduces and gathers together.
struct ReplicatedParameters {
  ParameterKind kind = ParameterKind::kDense;
  int copies = 1;  // tp_copies()
  bool exact = false;
  int replicas = 1;
  std::int64_t count = 0;  // padded to a multiple of the replicas
};

// The parameters of the table that lie on a rank of `stage`, by who else holds them.
std::vector<ReplicatedParameters> replicated_parameters(const Job& job,
                                                        std::span<const Parameter> table,
                                                        int stage);

ModelState model_state(const Job& job, std::span<const ReplicatedParameters> held);

// [pp] The states of all stages.
std::vector<ModelState> model_states(const Job& job);

}  // namespace fulgur
