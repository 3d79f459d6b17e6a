#include "orchestrator/run/preflight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <map>

#include "cluster/exit_codes.hpp"
#include "orchestrator/coordinator/coordinator.hpp"
#include "orchestrator/coordinator/verdict.hpp"
#include "orchestrator/run/launching.hpp"
#include "recipes/layout.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

constexpr double kSlow = 1.0 / 3;  // of the median

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

bool needs_gpus(const Job& job, const std::vector<NodeReport>& reports, int workers) {
  if (job.device == DeviceKind::kCuda) return true;
  // auto takes GPUs where there are enough: then all nodes must have them.
  return job.device == DeviceKind::kAuto &&
         std::any_of(reports.begin(), reports.end(),
                     [workers](const auto& report) { return report.gpus >= workers; });
}

void judge_devices(const std::vector<NodeReport>& reports, const Job& job, int workers,
                   PreflightVerdict& verdict) {
  if (!needs_gpus(job, reports, workers)) return;
  const bool may_share =
      job.device == DeviceKind::kCuda && job.cluster.transport == Transport::kUcx;
  const int wanted = may_share ? 1 : workers;
  for (const auto& report : reports) {
    if (report.gpus >= wanted) continue;
    verdict.problems.push_back(
        fmt::format("node {0} shows {1} GPUs, and {2} are wanted; leave it out: --exclude {0}",
                    report.name, report.gpus, wanted));
  }
}

void judge_links(const std::vector<NodeReport>& reports, double usual, PreflightVerdict& verdict) {
  std::vector<bool> named(reports.size(), false);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const auto& links = reports[i].links;
    const auto slow = std::count_if(links.begin(), links.end(), [usual](const auto& link) {
      return link.bandwidth < kSlow * usual;
    });
    if (links.size() < 2 || 2 * slow < static_cast<std::ptrdiff_t>(links.size())) continue;
    named[i] = true;
    verdict.remarks.push_back(
        fmt::format("node {0} is slow to reach: {1} of its {2} links have less than a third of the "
                    "usual {3:.2f} "
                    "GB/s; leave it out: --exclude {0}",
                    reports[i].name, slow, links.size(), usual));
  }
  for (std::size_t i = 0; i < reports.size(); ++i) {
    for (const auto& link : reports[i].links) {
      const auto peer = static_cast<std::size_t>(link.node);
      if (peer <= i || peer >= reports.size() || named[i] || named[peer]) continue;
      if (link.bandwidth >= kSlow * usual) continue;
      verdict.remarks.push_back(fmt::format("the link from node {} to node {} is slow: {:.2f} GB/s",
                                            reports[i].name, reports[peer].name, link.bandwidth));
    }
  }
}

NodeReport parse_report(const std::string& text, int& node) {
  const auto value = json::parse(text);
  NodeReport report;
  node = value.at("node").to_number<int>();
  report.gpus = value.at("gpus").to_number<int>();
  report.cores = value.at("cores").to_number<int>();
  for (const auto& link : value.at("links").as_array()) {
    report.links.push_back({.node = link.at("node").to_number<int>(),
                            .latency = link.at("latency").to_number<double>(),
                            .bandwidth = link.at("bandwidth").to_number<double>()});
  }
  return report;
}

}  // namespace

PreflightVerdict judge_preflight(const std::vector<NodeReport>& reports, const Job& job,
                                 int workers_per_node) {
  PreflightVerdict verdict;
  std::vector<double> bandwidths;
  std::vector<double> latencies;
  int gpus = reports.empty() ? 0 : reports.front().gpus;
  for (const auto& report : reports) {
    gpus = std::min(gpus, report.gpus);
    for (const auto& link : report.links) {
      bandwidths.push_back(link.bandwidth);
      latencies.push_back(link.latency);
    }
  }
  const double usual = median(bandwidths);
  judge_devices(reports, job, workers_per_node, verdict);
  judge_links(reports, usual, verdict);
  verdict.summary = fmt::format("{} nodes, {} GPUs each; links {:.2f} GB/s, {:.0f} us (medians)",
                                reports.size(), gpus, usual, median(latencies));
  return verdict;
}

bool wants_preflight(const Job& job, int nodes) {
  // The agents of pods come once, and then belong to the run.
  if (job.cluster.kind == ClusterKind::kKubernetes) return false;
  if (job.cluster.preflight == Preflight::kAuto) return nodes > 1;
  return job.cluster.preflight == Preflight::kAlways;
}

int run_preflight(const Job& job) {
  const auto launching = launching_of(job, WorkersPerNode::kOne);
  if (!wants_preflight(job, launching.nodes)) return kExitDone;
  CoordinatorSetup setup;
  setup.job = job;
  setup.task = "preflight";
  setup.world = launching.nodes;
  setup.run_id = launching.run_id;
  setup.launcher = launching.launcher;
  setup.limits.join = launching.join;
  std::vector<NodeReport> reports(static_cast<std::size_t>(launching.nodes));
  CoordinatorHooks hooks;
  hooks.print = [&reports](const std::string& text) {
    int node = 0;
    auto report = parse_report(text, node);
    reports.at(static_cast<std::size_t>(node)) = std::move(report);
  };
  const auto result = coordinate(setup, hooks);
  if (result.exit_code != kExitDone) {
    fmt::print(stderr, "{}  before the run: the nodes were tried, one worker on each\n",
               explain(result, {}));
    return result.exit_code;
  }
  for (std::size_t node = 0; node < reports.size(); ++node)
    reports[node].name = result.workers[node].node;
  const int workers = static_cast<int>(world_size(job.layout)) / launching.nodes;
  const auto verdict = judge_preflight(reports, job, workers);
  fmt::print("{}\n", verdict.summary);
  for (const auto& remark : verdict.remarks)
    fmt::print("warning: {}\n", remark);
  std::fflush(stdout);
  for (const auto& problem : verdict.problems)
    fmt::print(stderr, "fulgur: {}\n", problem);
  return verdict.problems.empty() ? kExitDone : kExitUnavailable;
}

}  // namespace fulgur
