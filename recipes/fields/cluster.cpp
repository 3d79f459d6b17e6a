#include "recipes/fields/declared.hpp"

namespace fulgur::declared {
namespace {

constexpr Range kNodes = from_one_to(65536);
constexpr Range kMonth = {.min = 0, .max = 31 * 86400};

}  // namespace

std::vector<Field> cluster_fields() {
  return {
      {.name = "cluster.kind",
       .access = kMember<&Job::cluster, &ClusterSpec::kind>,
       .help =
           "Where the workers run. local: on this machine; ssh: on `cluster.hosts`; slurm: on the "
           "nodes of a Slurm job; kubernetes: in the pods of a JobSet (docs/clusters.md)."},
      {.name = "cluster.nodes",
       .access = kMember<&Job::cluster, &ClusterSpec::nodes>,
       .range = kNodes,
       .help = "slurm, kubernetes: how many machines; each has the same number of workers."},
      {.name = "cluster.hosts",
       .access = kMember<&Job::cluster, &ClusterSpec::hosts>,
       .help =
           "ssh: the machines, as `host:slots` or `user@host:slots`; each is filled with as many "
           "workers as it has slots before the next."},
      {.name = "cluster.exclude",
       .access = kMember<&Job::cluster, &ClusterSpec::exclude>,
       .help = "Hosts or nodes that are not to be used; `--exclude` adds to them."},
      {.name = "cluster.address",
       .access = kMember<&Job::cluster, &ClusterSpec::address>,
       .help =
           "The address of the coordinator's machine at which the nodes reach it, and the only one "
           "at which it listens; empty: at all, and ssh and Slurm tell the nodes."},
      {.name = "cluster.preflight",
       .access = kMember<&Job::cluster, &ClusterSpec::preflight>,
       .help =
           "Before the workers start, whether links and devices of the nodes are tried for some "
           "seconds; auto: when there are several nodes."},
      {.name = "cluster.environment",
       .access = kMember<&Job::cluster, &ClusterSpec::environment>,
       .help =
           "Variables of the workers' environment, as `NCCL_ALGO=Ring`, on top of what they have; "
           "those that fulgur sets, and those that load code, are refused."},
      {.name = "cluster.transport",
       .access = kMember<&Job::cluster, &ClusterSpec::transport>,
       .help =
           "Over what workers exchange tensors: nccl (one GPU a worker), ucx (any device; workers "
           "may share GPUs); auto: nccl between GPUs where the build has it, ucx otherwise."},
      {.name = "cluster.heartbeat",
       .access = kMember<&Job::cluster, &ClusterSpec::heartbeat_seconds>,
       .unit = Unit::kSeconds,
       .range = kSeconds,
       .help = "How often a worker says that it lives."},
      {.name = "cluster.dead_after",
       .access = kMember<&Job::cluster, &ClusterSpec::dead_after_seconds>,
       .unit = Unit::kSeconds,
       .range = kSeconds,
       .help = "A worker that was silent for so long is dead."},
      {.name = "cluster.comm_timeout",
       .access = kMember<&Job::cluster, &ClusterSpec::comm_timeout_seconds>,
       .unit = Unit::kSeconds,
       .range = kSeconds,
       .help = "How long workers wait for each other in a collective."},
  };
}

std::vector<Field> slurm_fields() {
  return {
      {.name = "cluster.slurm.partition",
       .access = kMember<&Job::cluster, &ClusterSpec::slurm, &SlurmSpec::partition>,
       .help = "Of the job; empty: Slurm's default."},
      {.name = "cluster.slurm.account",
       .access = kMember<&Job::cluster, &ClusterSpec::slurm, &SlurmSpec::account>,
       .help = "That the job is charged to; empty: Slurm's default."},
      {.name = "cluster.slurm.qos",
       .access = kMember<&Job::cluster, &ClusterSpec::slurm, &SlurmSpec::qos>,
       .help = "The job's quality of service; empty: Slurm's default."},
      {.name = "cluster.slurm.time",
       .access = kMember<&Job::cluster, &ClusterSpec::slurm, &SlurmSpec::time_seconds>,
       .unit = Unit::kSeconds,
       .range = kMonth,
       .help =
           "The time limit of one submission, in whole minutes; 0: that of the partition. The run "
           "goes on in the next."},
      {.name = "cluster.slurm.warning",
       .access = kMember<&Job::cluster, &ClusterSpec::slurm, &SlurmSpec::warning_seconds>,
       .unit = Unit::kSeconds,
       .range = {.min = 1, .max = 65535},
       .help = "So long before the time limit the run writes a checkpoint, stops, and is queued "
               "again."},
      {.name = "cluster.slurm.gpus_per_node",
       .access = kMember<&Job::cluster, &ClusterSpec::slurm, &SlurmSpec::gpus_per_node>,
       .unit = Unit::kCount,
       .range = {.min = 0, .max = 1024},
       .help = "GPUs to ask for on each node; 0: none are asked for."},
      {.name = "cluster.slurm.cpus_per_node",
       .access = kMember<&Job::cluster, &ClusterSpec::slurm, &SlurmSpec::cpus_per_node>,
       .unit = Unit::kCount,
       .range = {.min = 0, .max = 65536},
       .help = "Cores to ask for on each node; 0: whole nodes (`--exclusive`)."},
      {.name = "cluster.slurm.options",
       .access = kMember<&Job::cluster, &ClusterSpec::slurm, &SlurmSpec::options>,
       .help = "More options of sbatch, as `--constraint=h200`."},
  };
}

std::vector<Field> stop_fields() {
  return {
      {.name = "stopping.after",
       .access = kMember<&Job::stopping, &StopSpec::after_seconds>,
       .unit = Unit::kSeconds,
       .range = kMonth,
       .help =
           "So long after its start the run writes a checkpoint and stops, with exit code 75; the "
           "same command goes on. Under Slurm it is queued again. 0: it does not."},
      {.name = "stopping.at",
       .access = kMember<&Job::stopping, &StopSpec::at>,
       .help = "The same at a time of day, in UTC: `2026-01-31T08:00:00Z`; the run is not queued "
               "again. "
               "Empty: never."},
  };
}

}  // namespace fulgur::declared
