#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recipes/cost/plan.hpp"
#include "recipes/dsl/load.hpp"

namespace fulgur {

// A job's recipe on a cluster, for each stretch of training: the first, then every phase that has other
// steps or another layout than the one before it.
struct PlannedPhase {
  std::size_t number = 0;  // 0: as job.train says; then the phases, from 1
  std::int64_t from_tokens = 0;
  Job job;  // as this phase has it, and without phases
  Plan plan;
};

// Whatever fits or not.
std::vector<PlannedPhase> plan_without_checks(const Job& job, const Cluster& cluster,
                                              const Assumptions& assumptions);

// Throws RecipeError (E0291 to E0293) with all reasons why the job cannot run on the cluster, each with
// the nearest change that helps.
std::vector<PlannedPhase> plan_phases(const LoadedRecipe& recipe, const Cluster& cluster,
                                      const Assumptions& assumptions);

// The cluster that is meant: `name` (cluster/hardware/catalogue.hpp), or one node for the job's device
// where it is empty. Throws UsageError.
Cluster cluster_for(const Job& job, const std::string& name);

// Replaces what a recipe leaves to the planner, `token_groups: auto`, by what the planner predicts to be
// best. The one place where that is done: everybody who takes a job from a recipe calls it before use.
void resolve_auto(Job& job, const Cluster& cluster, const Assumptions& assumptions = {});

}  // namespace fulgur
