#include "orchestrator/run/supervision.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "cluster/launch/slurm.hpp"
#include "recipes/hosts.hpp"
#include "recipes/layout.hpp"
#include "recipes/rules/rules.hpp"

namespace fulgur {
namespace {

Duration in_seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

int workers_of(const Job& job) {
  return static_cast<int>(world_size(job.layout));
}

int workers_per_node(const Job& job) {
  return workers_of(job) / static_cast<int>(job.cluster.nodes);
}

std::vector<NodeSlots> nodes_of(const Job& job) {
  std::vector<NodeSlots> nodes;
  const auto& excluded = job.cluster.exclude;
  const auto add = [&](const std::string& name, int slots) {
    if (std::find(excluded.begin(), excluded.end(), name) == excluded.end())
      nodes.push_back({.name = name, .slots = slots});
  };
  if (job.cluster.kind == ClusterKind::kSsh) {
    for (const auto& text : job.cluster.hosts) {
      if (const auto host = parse_host(text)) add(host->host, host->slots);
    }
  } else if (job.cluster.kind == ClusterKind::kSlurm) {
    if (const auto allocation = slurm_allocation()) {
      for (const auto& name : allocation->names)
        add(name, workers_per_node(job));
    }
  }
  return nodes;
}

}  // namespace

Job job_on(const Job& job, const LayoutChoice& layout, const std::vector<std::string>& excluded) {
  auto result = job;
  if (result.layout.dp != layout.dp) {
    result.layout.dp = layout.dp;
    if (job.cluster.kind == ClusterKind::kSlurm)
      result.cluster.nodes = layout.workers / workers_per_node(job);
  }
  auto& exclude = result.cluster.exclude;
  exclude.insert(exclude.end(), excluded.begin(), excluded.end());
  return result;
}

SupervisionRules supervision_rules(const Job& job) {
  SupervisionRules rules;
  const bool others_restart = job.cluster.kind == ClusterKind::kKubernetes;
  rules.restarts = others_restart ? 0 : static_cast<int>(job.faults.restarts);
  rules.per = in_seconds(job.faults.restarts_per_seconds);
  rules.no_progress = static_cast<int>(job.faults.no_progress);
  rules.nodes = nodes_of(job);
  rules.layouts.push_back({.dp = static_cast<int>(job.layout.dp), .workers = workers_of(job)});
  // A phase with a layout of its own leaves no choice.
  if (job.faults.min_dp == 0 || !job.phases.from.empty()) return rules;
  for (auto dp = job.layout.dp - 1; dp >= job.faults.min_dp; --dp) {
    auto smaller = job;
    smaller.layout.dp = dp;
    const int workers = workers_of(smaller);
    if (job.cluster.kind == ClusterKind::kSlurm && workers % workers_per_node(job) != 0) continue;
    const LayoutChoice choice{.dp = static_cast<int>(dp), .workers = workers};
    if (violations(job_on(job, choice, {})).empty()) rules.layouts.push_back(choice);
  }
  return rules;
}

std::vector<std::string> lost_nodes(const RunResult& result, const Launching& launching) {
  std::vector<std::string> names;
  for (std::size_t rank = 0; rank < result.state.workers.size(); ++rank) {
    if (result.state.workers[rank].lost.empty()) continue;
    const auto& name = launching.hosts.empty() ? result.workers[rank].node : launching.hosts[rank];
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(name);
  }
  return names;
}

Limits limits_of(const Job& job, Duration join) {
  Limits limits;
  limits.join = join;
  limits.dead_after = in_seconds(job.cluster.dead_after_seconds);
  limits.setup = in_seconds(job.faults.setup_timeout_seconds);
  limits.step = in_seconds(job.faults.step_timeout_seconds);
  limits.stop = std::chrono::seconds(5);
  limits.checkpoint = in_seconds(job.faults.checkpoint_timeout_seconds);
  return limits;
}

std::optional<int> pause_for(Duration pause) {
  constexpr std::array kStopSignals{SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP};
  sigset_t stops;
  sigset_t before;
  ::sigemptyset(&stops);
  for (const int each : kStopSignals)
    ::sigaddset(&stops, each);
  ::pthread_sigmask(SIG_BLOCK, &stops, &before);
  const auto end = std::chrono::steady_clock::now() + pause;
  int signal = -1;
  do {
    const auto left = std::max(Duration::zero(), Duration(end - std::chrono::steady_clock::now()));
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec wait{.tv_sec = whole.count(),
                        .tv_nsec = std::chrono::nanoseconds(left - whole).count()};
    signal = ::sigtimedwait(&stops, nullptr, &wait);
  } while (signal < 0 && errno == EINTR);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return signal < 0 ? std::nullopt : std::optional(signal);
}

}  // namespace fulgur
