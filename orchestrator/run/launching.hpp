#pragma once

#include <string>
#include <vector>

#include "cluster/launch/launcher.hpp"
#include "orchestrator/coordinator/decide.hpp"
#include "recipes/job.hpp"

namespace fulgur {

// How the workers of a job are started on its cluster.
struct Launching {
  LauncherFactory launcher;
  std::string run_id;  // where the cluster gave one; else drawn
  std::string secret;  // where the cluster gave one; else empty
  int nodes = 1;
  std::vector<std::string>
      hosts;  // [world] as the job names them; empty: the agents name their nodes
  Duration join = std::chrono::seconds(60);  // for all workers to come
};

enum class WorkersPerNode { kAsLayout, kOne };

// Throws LaunchError when the cluster is not as the job wants it: no ssh, no allocation of Slurm, too few
// nodes or slots.
Launching launching_of(const Job& job, WorkersPerNode workers = WorkersPerNode::kAsLayout);

// All workers on this machine, with these variables (`cluster.environment`) on top of its environment.
LauncherFactory launch_locally(std::vector<std::string> environment);

}  // namespace fulgur
