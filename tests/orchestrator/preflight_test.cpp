#include "orchestrator/run/preflight.hpp"

#include <doctest/doctest.h>

using namespace fulgur;

namespace {

// Nodes a, b, c, ... in which each has a link to each other.
std::vector<NodeReport> some_nodes(int count, int gpus, double bandwidth) {
  std::vector<NodeReport> reports;
  for (int node = 0; node < count; ++node) {
    NodeReport report;
    report.name = std::string(1, static_cast<char>('a' + node));
    report.gpus = gpus;
    for (int peer = 0; peer < count; ++peer) {
      if (peer != node)
        report.links.push_back({.node = peer, .latency = 10, .bandwidth = bandwidth});
    }
    reports.push_back(report);
  }
  return reports;
}

void set_link(std::vector<NodeReport>& reports, int a, int b, double bandwidth) {
  for (auto [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
    for (auto& link : reports[static_cast<std::size_t>(from)].links) {
      if (link.node == to) link.bandwidth = bandwidth;
    }
  }
}

Job job_on(DeviceKind device, Transport transport = Transport::kAuto) {
  Job job;
  job.device = device;
  job.cluster.transport = transport;
  return job;
}

}  // namespace

TEST_SUITE("orchestrator/run/preflight") {
  TEST_CASE("equal nodes with enough GPUs have no problems") {
    const auto verdict = judge_preflight(some_nodes(4, 8, 12), job_on(DeviceKind::kCuda), 8);
    CHECK(verdict.problems.empty());
    CHECK(verdict.remarks.empty());
    CHECK(verdict.summary == "4 nodes, 8 GPUs each; links 12.00 GB/s, 10 us (medians)");
  }

  TEST_CASE("the node that lacks a GPU is named, with how to leave it out") {
    auto reports = some_nodes(3, 8, 12);
    reports[1].gpus = 7;
    for (const auto device : {DeviceKind::kCuda, DeviceKind::kAuto}) {
      const auto verdict = judge_preflight(reports, job_on(device), 8);
      REQUIRE(verdict.problems.size() == 1);
      CHECK(verdict.problems[0] ==
            "node b shows 7 GPUs, and 8 are wanted; leave it out: --exclude b");
    }
    CHECK(judge_preflight(reports, job_on(DeviceKind::kCpu), 8).problems.empty());
    CHECK(judge_preflight(reports, job_on(DeviceKind::kCuda, Transport::kUcx), 8).problems.empty());
    CHECK(judge_preflight(some_nodes(3, 0, 12), job_on(DeviceKind::kAuto), 8).problems.empty());
  }

  TEST_CASE("a node with slow links is named once, and a slow link by its two ends") {
    auto reports = some_nodes(5, 0, 12);
    for (const int peer : {0, 1, 3, 4})
      set_link(reports, 2, peer, 1);
    auto verdict = judge_preflight(reports, job_on(DeviceKind::kCpu), 1);
    REQUIRE(verdict.remarks.size() == 1);
    CHECK(verdict.remarks[0].starts_with("node c is slow to reach: 4 of its 4 links"));
    reports = some_nodes(5, 0, 12);
    set_link(reports, 1, 3, 3.9);
    verdict = judge_preflight(reports, job_on(DeviceKind::kCpu), 1);
    REQUIRE(verdict.remarks.size() == 1);
    CHECK(verdict.remarks[0] == "the link from node b to node d is slow: 3.90 GB/s");
    CHECK(verdict.problems.empty());
  }

  TEST_CASE("nodes are tried when there are several, always, or never, as the recipe says") {
    auto job = job_on(DeviceKind::kCpu);
    job.cluster.kind = ClusterKind::kSsh;
    CHECK(wants_preflight(job, 2));
    CHECK_FALSE(wants_preflight(job, 1));
    job.cluster.preflight = Preflight::kAlways;
    CHECK(wants_preflight(job, 1));
    job.cluster.preflight = Preflight::kNever;
    CHECK_FALSE(wants_preflight(job, 2));
  }
}
