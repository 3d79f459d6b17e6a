#include "orchestrator/run/launching.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "cluster/launch/invitation.hpp"
#include "cluster/launch/local.hpp"
#include "cluster/launch/node_launcher.hpp"
#include "cluster/launch/slurm.hpp"
#include "cluster/launch/ssh.hpp"
#include "cluster/wire/secret.hpp"
#include "cluster/wire/text.hpp"
#include "recipes/hosts.hpp"
#include "recipes/layout.hpp"

namespace fulgur {
namespace {

constexpr std::chrono::seconds kFarJoin{120};  // ssh, Slurm
constexpr std::chrono::seconds kPodJoin{600};  // images may have to be pulled

std::vector<HostSlots> usable_hosts(const Job& job) {
  std::vector<HostSlots> hosts;
  for (const auto& text : job.cluster.hosts) {
    auto host = parse_host(text);
    if (!host) throw LaunchError(text + ": is no host");
    const auto& exclude = job.cluster.exclude;
    if (std::find(exclude.begin(), exclude.end(), host->host) == exclude.end())
      hosts.push_back(*std::move(host));
  }
  return hosts;
}

NodeLaunch node_launch(const Job& job) {
  NodeLaunch launch;
  launch.join_limit = kFarJoin;
  launch.address = job.cluster.address;
  launch.environment = environment_for_workers();
  const auto& own = job.cluster.environment;  // which wins
  launch.environment.insert(launch.environment.end(), own.begin(), own.end());
  if (!launch.address.empty()) {
    boost::system::error_code error;
    launch.listen = boost::asio::ip::make_address(launch.address, error);
    if (error) throw LaunchError(fmt::format("cluster.address: {} is no address", launch.address));
  }
  return launch;
}

void set_even_ranks(NodeLaunch& launch, const Job& job) {
  const auto nodes = static_cast<std::size_t>(job.cluster.nodes);
  if (world_size(job.layout) % job.cluster.nodes != 0) {  // as a phase's own layout may do
    throw LaunchError(
        fmt::format("{} nodes do not share {} workers evenly", nodes, world_size(job.layout)));
  }
  launch.ranks.assign(nodes, static_cast<int>(world_size(job.layout)) / static_cast<int>(nodes));
}

NodeLaunch over_ssh(const Job& job) {
  const auto hosts = usable_hosts(job);
  std::vector<int> slots;
  slots.reserve(hosts.size());
  for (const auto& host : hosts)
    slots.push_back(host.slots);
  auto launch = node_launch(job);
  launch.ranks = fill_nodes(slots, static_cast<int>(world_size(job.layout)));
  const auto ssh = find_program("ssh");
  const auto agent = agent_command(this_program());
  for (std::size_t node = 0; node < launch.ranks.size(); ++node)
    launch.starters.push_back(ssh_starter(hosts[node].host, static_cast<int>(node), ssh, agent));
  return launch;
}

std::vector<std::string> hosts_of_ranks(const Job& job, const NodeLaunch& launch) {
  std::vector<std::string> names;
  const auto hosts = usable_hosts(job);
  for (std::size_t node = 0; node < launch.ranks.size(); ++node)
    names.insert(names.end(), static_cast<std::size_t>(launch.ranks[node]), hosts[node].host);
  return names;
}

NodeLaunch over_slurm(const Job& job) {
  const auto allocation = slurm_allocation();
  if (!allocation)
    throw LaunchError("this process belongs to no job of Slurm: SLURM_JOB_ID is not set");
  if (allocation->nodes < job.cluster.nodes) {
    throw LaunchError(fmt::format("job {} of Slurm has {} nodes, and cluster.nodes wants {}",
                                  allocation->job_id, allocation->nodes, job.cluster.nodes));
  }
  auto launch = node_launch(job);
  set_even_ranks(launch, job);
  const auto agent = agent_command(this_program());
  launch.starters.push_back(srun_starter(static_cast<int>(job.cluster.nodes), job.cluster.exclude,
                                         find_program("srun"), agent));
  return launch;
}

// The pods start their agents themselves; this process is the coordinator's pod.
Launching over_kubernetes(const Job& job, NodeLaunch launch) {
  set_even_ranks(launch, job);
  launch.join_limit = kPodJoin;
  const char* port = std::getenv("FULGUR_COORDINATOR_PORT");
  const char* run_id = std::getenv("FULGUR_RUN_ID");
  if (port == nullptr || run_id == nullptr) {
    throw LaunchError(
        "cluster.kind: kubernetes wants FULGUR_COORDINATOR_PORT and FULGUR_RUN_ID, which the pods "
        "of "
        "`fulgur render jobset` have");
  }
  launch.port = static_cast<std::uint16_t>(std::atoi(port));
  Launching launching;
  launching.run_id = run_id;
  launching.secret = read_secret_file();
  launching.join = kPodJoin;
  launching.nodes = static_cast<int>(launch.ranks.size());
  launching.launcher = [launch](const boost::asio::any_io_executor& executor) {
    return make_node_launcher(executor, launch);
  };
  return launching;
}

}  // namespace

LauncherFactory launch_locally(std::vector<std::string> environment) {
  return [program = find_worker_program(),
          environment = std::move(environment)](const boost::asio::any_io_executor& executor) {
    return make_local_launcher(executor, program, environment);
  };
}

Launching launching_of(const Job& asked, WorkersPerNode workers) {
  auto job = asked;
  Launching launching;
  launching.run_id = to_hex(random_bytes(8));
  if (job.cluster.kind == ClusterKind::kLocal) {
    launching.launcher = launch_locally(job.cluster.environment);
    return launching;
  }
  if (job.cluster.kind == ClusterKind::kKubernetes) return over_kubernetes(job, node_launch(job));
  auto launch = job.cluster.kind == ClusterKind::kSsh ? over_ssh(job) : over_slurm(job);
  if (workers == WorkersPerNode::kOne) std::fill(launch.ranks.begin(), launch.ranks.end(), 1);
  launching.join = kFarJoin;
  launching.nodes = static_cast<int>(launch.ranks.size());
  if (job.cluster.kind == ClusterKind::kSsh) launching.hosts = hosts_of_ranks(job, launch);
  launching.launcher = [launch](const boost::asio::any_io_executor& executor) {
    return make_node_launcher(executor, launch);
  };
  return launching;
}

}  // namespace fulgur
