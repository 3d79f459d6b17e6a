#pragma once

#include <optional>
#include <string>
#include <vector>

#include "orchestrator/coordinator/coordinator.hpp"
#include "orchestrator/coordinator/supervise.hpp"
#include "orchestrator/run/launching.hpp"
#include "recipes/job.hpp"

namespace fulgur {

// How the failures of a job are answered: its `faults`, the layouts that they allow, and its nodes. `job` has
// nothing left to the planner. Where other programs start the agents (kubernetes), they answer failures too, and
// there are no restarts here.
SupervisionRules supervision_rules(const Job& job);

// The job on one of the layouts of its rules, without the nodes that are not to be used.
Job job_on(const Job& job, const LayoutChoice& layout, const std::vector<std::string>& excluded);

// The nodes that an attempt lost, by the names with which a job excludes them.
std::vector<std::string> lost_nodes(const RunResult& result, const Launching& launching);

// How long workers may stay in a section, and be silent.
Limits limits_of(const Job& job, Duration join);

// Waits; a signal that asks for a stop ends the wait and is returned. For the main thread.
std::optional<int> pause_for(Duration pause);

}  // namespace fulgur
