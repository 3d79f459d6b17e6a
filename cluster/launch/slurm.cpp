#include "cluster/launch/slurm.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <numeric>

namespace fulgur {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int number(const char* name, int otherwise) {
  const auto text = variable(name);
  return text.empty() ? otherwise : std::atoi(text.c_str());
}

}  // namespace

std::optional<SlurmAllocation> slurm_allocation() {
  SlurmAllocation allocation;
  allocation.job_id = variable("SLURM_JOB_ID");
  if (allocation.job_id.empty()) return std::nullopt;
  allocation.nodes = number("SLURM_JOB_NUM_NODES", 1);
  allocation.restarts = number("SLURM_RESTART_COUNT", 0);
  allocation.is_batch = variable("FULGUR_BATCH") == "1";  // which the script sets
  return allocation;
}

Starter srun_starter(int nodes, const std::vector<std::string>& exclude,
                     const std::filesystem::path& srun, const std::vector<std::string>& agent) {
  Starter starter;
  starter.name = "srun";
  starter.nodes.resize(static_cast<std::size_t>(nodes));
  std::iota(starter.nodes.begin(), starter.nodes.end(), 0);
  starter.tells_node = false;
  starter.process.program = srun;
  auto& arguments = starter.process.arguments;
  arguments = {fmt::format("--nodes={}", nodes),
               fmt::format("--ntasks={}", nodes),
               "--ntasks-per-node=1",
               "--overlap",
               "--wait=0",
               "--kill-on-bad-exit=0",
               "--cpu-bind=none",
               "--mpi=none",
               "--export=ALL",
               "--job-name=fulgur-agent"};
  if (!exclude.empty()) arguments.push_back(fmt::format("--exclude={}", fmt::join(exclude, ",")));
  arguments.insert(arguments.end(), agent.begin(), agent.end());
  return starter;
}

}  // namespace fulgur
