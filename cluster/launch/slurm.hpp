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
  std::vector<std::string> names;  // of the nodes
  int restarts = 0;                // how often it was queued again
  bool is_batch = false;           // this process is its batch script
};

// "gpu[01-03,7],login" as Slurm lists nodes: gpu01, gpu02, gpu03, gpu7, login. What is no such list is one
// name.
std::vector<std::string> expand_node_list(const std::string& list);

// From the environment; nothing when this process belongs to no job.
std::optional<SlurmAllocation> slurm_allocation();

// srun within an allocation, to start one agent on each of `nodes` nodes but the excluded ones. It takes no
// resources of its own, ends none of the others when one ends, and binds nothing: the agent deals its
// node's cores.
Starter srun_starter(int nodes, const std::vector<std::string>& exclude,
                     const std::filesystem::path& srun, const std::vector<std::string>& agent);

}  // namespace fulgur
