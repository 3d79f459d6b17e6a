#pragma once

#include <string>

#include "orchestrator/planner/phase_plans.hpp"

namespace fulgur {

// A picture of a plan as SVG: a row for each stage with its layers, what the fullest rank holds against
// the device's memory, and where its time goes.
std::string plan_svg(const PlannedPhase& phase, const Cluster& cluster);

}  // namespace fulgur
