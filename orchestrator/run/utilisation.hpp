#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cluster/wire/messages.hpp"
#include "orchestrator/coordinator/decide.hpp"
#include "recipes/job.hpp"

namespace fulgur {

// How a step used the machine.
struct Utilisation {
  std::int64_t memory =
      0;              // bytes, of the rank that has occupied the most so far; 0: none has said
  double tflops = 0;  // 1e12 FLOP/s a rank, counted as in recipes/cost/flops.hpp
  std::optional<double> mfu;  // tflops over the GPU's peak; nothing when that is not known
};

// Dense FLOP/s of a GPU in the arithmetic of `precision`, by the catalogue (cluster/hardware); nothing
// for a GPU that is not there.
std::optional<double> peak_of_gpu(const std::string& name, Precision precision);

// `peak`: of each rank's GPU. An mfu above 1 is a mistake in one of the figures: who shows it says so.
Utilisation utilisation(const Job& job, const StepDone& step, const RunState& state,
                        std::optional<double> peak);

}  // namespace fulgur
