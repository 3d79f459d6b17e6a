#include "orchestrator/run/utilisation.hpp"

#include <algorithm>

#include "cluster/hardware/catalogue.hpp"
#include "recipes/cost/flops.hpp"
#include "recipes/phases.hpp"

namespace fulgur {

std::optional<double> peak_of_gpu(const std::string& name, Precision precision) {
  const auto hardware = find_gpu(name);
  if (!hardware || hardware->peak(precision) <= 0) return std::nullopt;
  return hardware->peak(precision);
}

Utilisation utilisation(const Job& job, const StepDone& step, const RunState& state,
                        std::optional<double> peak) {
  Utilisation result;
  for (const auto& worker : state.workers)
    result.memory = std::max(result.memory, worker.memory);
  // The step began with fewer tokens than it reports, perhaps in the phase before.
  const auto tokens = std::max<std::int64_t>(0, step.tokens - 1);
  const auto length = train_of_phase(job, phase_at(job, tokens)).sequence_length;
  const double flops = training_flops(job.model, length).total() * step.tokens_per_second /
                       static_cast<double>(state.workers.size());
  result.tflops = flops / 1e12;
  if (peak) result.mfu = flops / *peak;
  return result;
}

}  // namespace fulgur
