#pragma once

#include <string>
#include <vector>

#include "orchestrator/planner/phase_plans.hpp"

namespace fulgur {

// All figures of a plan for programs (docs/plan.md has the fields); bytes, seconds and plain numbers.
std::string plan_json(const std::vector<PlannedPhase>& phases, const Cluster& cluster);

}  // namespace fulgur
