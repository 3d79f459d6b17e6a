#pragma once

#include <string>
#include <vector>

#include "orchestrator/planner/phase_plans.hpp"

namespace fulgur {

// What `fulgur plan` prints: figures of the first phase and where its time goes, a table of the stages, a
// picture of the layout, what each group of ranks sends, and a line for every further phase.
std::string plan_text(const std::vector<PlannedPhase>& phases, const Cluster& cluster);

// A letter for each layer of a stage, in order: E embedding, l lightning, S softmax, H head; a blank
// between virtual stages.
std::string layer_letters(const Job& job, int stage);

}  // namespace fulgur
