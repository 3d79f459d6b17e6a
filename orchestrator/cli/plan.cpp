#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/usage_error.hpp"
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

}  // namespace

int run_command(const PlanOptions& options) {
  const auto recipe = load_recipe(options.recipe, options.overrides, DataFiles::kLeave);
  const auto cluster = cluster_for(recipe.job, options.cluster);
  Assumptions assumptions;
  if (options.imbalance) assumptions.imbalance = *options.imbalance;
  if (options.document) assumptions.document = *options.document;
  const auto phases = plan_phases(recipe, cluster, assumptions);
  fmt::print("{}", plan_text(phases, cluster));
  if (options.json) write_file(*options.json, plan_json(phases, cluster));
  if (options.svg) write_file(*options.svg, plan_svg(phases.front(), cluster));
  return kExitDone;
}

}  // namespace fulgur
