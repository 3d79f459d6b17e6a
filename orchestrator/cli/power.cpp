#include <fmt/format.h>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/power/power_text.hpp"

namespace fulgur {
namespace {

void read_groups(const PowerOptions& options, Experiment& experiment) {
  if (options.table) {
    if (options.baseline.size() != 1 || options.variant.size() > 1)
      throw UsageError("power: with --table, --baseline and --variant are a name each");
    auto names = options.baseline;
    names.insert(names.end(), options.variant.begin(), options.variant.end());
    experiment.groups = read_table(*options.table, names, options.by, options.metric);
    return;
  }
  std::vector<std::vector<std::filesystem::path>> paths;
  for (const auto& names : {options.baseline, options.variant}) {
    if (names.empty()) continue;
    if (options.sweep)
      paths.push_back(find_trials(*options.sweep, names));
    else
      paths.emplace_back(names.begin(), names.end());
  }
  auto runs = read_runs(paths, options.metric, options.last);
  experiment.groups = std::move(runs.groups);
  experiment.changes = std::move(runs.differences);
}

}  // namespace

int run_command(const PowerOptions& options) {
  Experiment experiment;
  experiment.metric = options.metric;
  experiment.lower_is_better = options.better == "lower";
  experiment.effect = options.effect;
  experiment.aim = {.confidence = options.confidence, .power = options.power};
  read_groups(options, experiment);
  if (options.items) experiment.items = read_items(*options.items, options.item_metric);
  const auto report = analyse(experiment);
  fmt::print("{}", power_text(experiment, report));
  return report.test && !report.better ? kExitFailed : kExitDone;
}

}  // namespace fulgur
