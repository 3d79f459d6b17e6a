#include "orchestrator/planner/phase_plans.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "cluster/hardware/catalogue.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "recipes/cost/token_groups.hpp"
#include "recipes/layout.hpp"
#include "recipes/phases.hpp"

namespace fulgur {
namespace {

std::vector<Violation> to_violations(const std::vector<PlanProblem>& problems,
                                     const std::string& where) {
  std::vector<Violation> broken;
  broken.reserve(problems.size());
  for (const auto& problem : problems)
    broken.push_back({problem.code, problem.message + where, problem.fields, problem.help});
  return broken;
}

void refuse(const std::vector<PlanProblem>& problems, const LoadedRecipe& recipe,
            std::size_t phase) {
  if (problems.empty()) return;
  const auto where = phase == 0 ? "" : fmt::format(" in phase {}", phase - 1);
  throw RecipeError(to_diagnostics(to_violations(problems, where), recipe.provenance));
}

}  // namespace

Cluster cluster_for(const Job& job, const std::string& name) {
  try {
    return find_cluster(name.empty() ? std::string(default_cluster(job.device)) : name);
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
}

void resolve_auto(Job& job, const Cluster& cluster, const Assumptions& assumptions) {
  if (job.experts.token_groups == kAutoTokenGroups)
    job.experts.token_groups = best_token_groups(
        job, shared_by(cluster, world_size(job.layout)).hardware, assumptions.imbalance);
}

std::vector<PlannedPhase> plan_without_checks(const Job& asked, const Cluster& cluster,
                                              const Assumptions& assumptions) {
  std::vector<PlannedPhase> phases;
  for (std::size_t i = 0; i <= asked.phases.from.size(); ++i) {
    PlannedPhase phase{.number = i,
                       .from_tokens = i == 0 ? 0 : asked.phases.from[i - 1],
                       .job = asked,
                       .plan = {}};
    phase.job.layout = layout_of_phase(asked, i);
    resolve_auto(phase.job, cluster, assumptions);
    phase.job = job_of_phase(phase.job, i);
    phase.job.phases = {};
    if (!phases.empty() && phase.job.train == phases.back().job.train &&
        phase.job.layout == phases.back().job.layout)
      continue;
    phase.plan = make_plan(phase.job, cluster, assumptions);
    phases.push_back(std::move(phase));
  }
  return phases;
}

std::vector<PlannedPhase> plan_phases(const LoadedRecipe& recipe, const Cluster& cluster,
                                      const Assumptions& assumptions) {
  for (std::size_t i = 0; i <= recipe.job.phases.from.size(); ++i)
    refuse(cluster_problems(job_of_phase(recipe.job, i), cluster), recipe, i);
  auto phases = plan_without_checks(recipe.job, cluster, assumptions);
  for (const auto& phase : phases)
    refuse(memory_problems(phase.job, cluster, phase.plan), recipe, phase.number);
  return phases;
}

}  // namespace fulgur
