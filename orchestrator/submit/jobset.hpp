#pragma once

#include <string>
#include <vector>

#include "recipes/job.hpp"

namespace fulgur {

// A run as a JobSet of Kubernetes.
struct JobSetRequest {
  Job job;
  std::string image;   // with fulgur in it
  std::string claim;   // a PersistentVolumeClaim: recipe, data and runs, at /workspace
  std::string secret;  // a Secret whose key `secret` holds 64 hexadecimal digits
  std::vector<std::string> arguments;  // of fulgur, behind "train"
  int gpus_per_node = 0;
  int restarts = 100;  // of the whole set
};

// The manifest, as YAML: a pod with the coordinator, and `cluster.nodes` pods with agents. A coordinator
// that ends with a code that the same run would end with again (2, 65, 73, 77, 78, 93) fails the set; all
// else, preemption (75) among it, restarts it, and the run goes on from its checkpoint.
std::string jobset(const JobSetRequest& request);

// A name that Kubernetes takes: lower-case letters, digits and '-', at most 40 characters.
std::string kubernetes_name(const std::string& name);

}  // namespace fulgur
