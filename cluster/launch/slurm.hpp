#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cluster/launch/node_launcher.hpp"

namespace fulgur {

// The job of Slurm that this process belongs to.
struct SlurmAllocation {
  std::string job_id;
  int nodes = 1;
  int restarts = 0;       // how often it was queued again
  bool is_batch = false;  // this process is its batch script
};

// From the environment; nothing when this process belongs to no job.
std::optional<SlurmAllocation> slurm_allocation();

// srun within an allocation, to start one agent on each of `nodes` nodes but the excluded ones. It takes no
// resources of its own, ends none of the others when one ends, and binds nothing: the agent deals its
// node's cores.
Starter srun_starter(int nodes, const std::vector<std::string>& exclude,
                     const std::filesystem::path& srun, const std::vector<std::string>& agent);

}  // namespace fulgur
