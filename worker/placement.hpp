#pragma once

#include <stdexcept>

#include "kernels/tensor.hpp"
#include "recipes/job.hpp"

namespace fulgur {

// A job that breaks a rule, or wants what this machine has not.
class JobError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What this node and this build have for a worker of a job.
struct Offer {
  int gpus = 0;       // that the process sees
  bool nccl = false;  // the build has NCCL
};

// A worker among those of its node.
struct LocalRank {
  int rank = 0;
  int workers = 1;
};

// Where a rank computes, and over what it exchanges tensors.
struct Placement {
  Device device = Device::kCpu;
  int gpu = 0;                            // on Device::kCuda
  Transport transport = Transport::kUcx;  // never kAuto

  friend bool operator==(const Placement&, const Placement&) = default;
};

// The rule, where all nodes of a job are alike:
//
// - device auto takes the GPUs when there is one for every worker of the node, and the processor
//   otherwise; cpu and cuda take what they say.
// - transport auto is NCCL between GPUs where the build has it, and UCX otherwise.
// - NCCL gives local rank r GPU r: it joins no two ranks of one GPU. Over UCX with device: cuda workers may
//   share GPUs: local rank r has GPU r modulo their number.
//
// A job of one worker exchanges nothing, and needs no NCCL. Throws JobError when the job wants what is
// not offered.
Placement choose_placement(const Job& job, const Offer& offer, const LocalRank& local);

}  // namespace fulgur
