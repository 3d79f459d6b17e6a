#pragma once

#include <string>
#include <vector>

#include "recipes/job.hpp"

namespace fulgur {

// What a node found (worker/preflight.hpp has the units).
struct NodeReport {
  struct Link {
    int node = 0;
    double latency = 0;
    double bandwidth = 0;
  };
  std::string name;
  int gpus = 0;
  int cores = 0;
  std::vector<Link> links;
};

struct PreflightVerdict {
  std::vector<std::string> problems;  // with which the run cannot work, each with its node
  std::vector<std::string> remarks;   // with which it is slow
  std::string summary;                // "2 nodes, 8 GPUs each; links 11.9 GB/s, 12 us (medians)"
};

// What the reports of all nodes mean for a job with so many workers on each. A link is slow when it has less
// than a third of the median bandwidth; a node is named when that holds for half of its links or more, and else
// the two ends of a link are.
PreflightVerdict judge_preflight(const std::vector<NodeReport>& reports, const Job& job,
                                 int workers_per_node);

// Whether the job wants its nodes tried: cluster.preflight.
bool wants_preflight(const Job& job, int nodes);

// Tries the nodes, one worker on each, for some seconds. Tells on stdout what it found, and on stderr what
// is wrong. Returns kExitDone, kExitUnavailable when a node cannot do its part, or what the workers ended
// with.
int run_preflight(const Job& job);

}  // namespace fulgur
