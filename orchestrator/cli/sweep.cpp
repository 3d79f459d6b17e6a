#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/run/run_directory.hpp"
#include "orchestrator/sweep/report.hpp"
#include "orchestrator/sweep/trials.hpp"
#include "recipes/canonical.hpp"

namespace fulgur {
namespace {

constexpr std::size_t kShown = 20;  // predictions

Assumptions assumptions_of(const SweepOptions& options) {
  Assumptions assumptions;
  if (options.imbalance) assumptions.imbalance = *options.imbalance;
  if (options.document) assumptions.document = *options.document;
  return assumptions;
}

void write_results(const RunDirectory& directory, const std::vector<Trial>& sorted) {
  directory.write("trials.csv", trials_csv(sorted));
  directory.write("trials.jsonl", trials_jsonl(sorted));
  directory.write("pareto.svg", pareto_svg(sorted));
}

// Exit codes with which the user, or the machine, wants no further trial.
bool ends_sweep(int code) {
  return code == kExitStopped || code > 128;
}

int run_trials(const SweepOptions& options, const SweepPlan& plan, const RunDirectory& directory) {
  const auto& sweep = plan.section;
  std::vector<Trial> trials;
  const auto count = std::min(static_cast<std::size_t>(sweep.best), plan.candidates.size());
  for (std::size_t i = 0; i < count; ++i) {
    const auto& candidate = plan.candidates[i];
    fmt::print("\ntrial {} of {}: {}\n", i + 1, count, to_string(candidate.arguments));
    trials.push_back(run_trial(candidate, sweep, options.recipe, directory.path()));
    auto sorted = trials;
    sort_trials(sorted);
    write_results(directory, sorted);
    if (!ends_sweep(trials.back().exit_code)) continue;
    fmt::print("stopped behind {} of {} trials; the same command goes on\n", i, count);
    return trials.back().exit_code;
  }
  sort_trials(trials);
  fmt::print("\n{}\n{}{}", trials_text(trials), verdict_text(trials), accuracy_text(trials));
  if (trials.empty() || !trials.front().seconds_per_token) return kExitFailed;
  const auto& best = *trials.front().candidate;
  directory.write("best.yaml",
                  fmt::format("# The fastest of a sweep over {}: {}\n{}", options.recipe.string(),
                              to_string(best.arguments), to_recipe(best.job)));
  fmt::print("\nfulgur train {}\n", (directory.path() / "best.yaml").string());
  return kExitDone;
}

}  // namespace

int run_command(const SweepOptions& options) {
  const auto data = options.dry_run ? DataFiles::kLeave : DataFiles::kFind;
  const auto plan =
      plan_sweep(options.recipe, options.overrides, options.cluster, assumptions_of(options), data);
  fmt::print("{}\n{}", rejections_text(plan), predictions_text(plan, kShown));
  if (plan.candidates.empty()) {
    fmt::print(stderr, "fulgur: no combination of the sweep can run\n");
    return kExitRecipe;
  }
  if (options.dry_run) return kExitDone;
  const RunDirectory directory(plan.run_directory + "-sweep");
  return run_trials(options, plan, directory);
}

}  // namespace fulgur
