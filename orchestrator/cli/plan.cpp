#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/planner/calibration.hpp"
#include "orchestrator/planner/phase_plans.hpp"
#include "orchestrator/planner/plan_json.hpp"
#include "orchestrator/planner/plan_svg.hpp"
#include "orchestrator/planner/plan_text.hpp"

namespace fulgur {
namespace {

void write_file(const std::filesystem::path& path, const std::string& text) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file) {
    throw UsageError(fmt::format("{} cannot be written: {}", path.string(), std::strerror(errno)));
  }
}

// Fits the hardware's efficiencies, and the assumed routing, to runs.
void fit(const PlanOptions& options, const Job& job, Hardware& hardware, Assumptions& assumptions) {
  std::vector<MeasuredRun> runs;
  for (const auto& path : options.calibrate)
    runs.push_back(read_measured_run(path));
  const auto calibration = calibrate(runs, hardware, assumptions);
  fmt::print("Efficiencies of {} x {:.3f}, fitted to {} run{}; predicted over measured:\n",
             hardware.name, calibration.factor, runs.size(), runs.size() == 1 ? "" : "s");
  double imbalance = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    fmt::print("  {:<40} {:5.2f} before, {:5.2f} after\n", runs[i].path.string(),
               calibration.before[i], calibration.after[i]);
    if (runs[i].job.model.experts == job.model.experts) {
      imbalance = std::max(
          imbalance, measured_imbalance(runs[i].expert_counts, job.model.experts, job.layout.ep));
    }
  }
  hardware = scaled(hardware, calibration.factor);
  if (imbalance > 0 && !options.imbalance) assumptions.imbalance = imbalance;
  fmt::print("\n");
}

}  // namespace

int run_command(const PlanOptions& options) {
  const auto recipe = load_recipe(options.recipe, options.overrides, DataFiles::kLeave);
  auto cluster = cluster_for(recipe.job, options.cluster);
  Assumptions assumptions;
  if (options.imbalance) assumptions.imbalance = *options.imbalance;
  if (options.document) assumptions.document = *options.document;
  if (!options.calibrate.empty()) fit(options, recipe.job, cluster.hardware, assumptions);
  const auto phases = plan_phases(recipe, cluster, assumptions);
  fmt::print("{}", plan_text(phases, cluster));
  if (options.json) write_file(*options.json, plan_json(phases, cluster));
  if (options.svg) write_file(*options.svg, plan_svg(phases.front(), cluster));
  return kExitDone;
}

}  // namespace fulgur
