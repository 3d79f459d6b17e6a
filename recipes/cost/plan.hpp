#pragma once

#include <string>
#include <vector>

#include "recipes/cost/flops.hpp"
#include "recipes/cost/hardware.hpp"
#include "recipes/cost/stage_memory.hpp"
#include "recipes/cost/step_time.hpp"

namespace fulgur {

// A pipeline stage: what its ranks hold and do.
struct StagePlan {
  std::int64_t lightning_layers = 0, softmax_layers = 0;
  bool has_embedding = false, has_head = false;
  StageMemory mean, fullest;  // of a rank with even routing, and with the assumed imbalance
  StageTime time;
};

// Where a step's time goes, the largest first; the parts add up to one.
struct Share {
  std::string what;
  double part = 0;
};

// What a job is predicted to take on a cluster.
struct Plan {
  Assumptions assumptions;
  int world = 1, devices = 1, nodes = 1;
  int used_devices = 1;
  double device_bytes = 0;        // that a rank has
  std::vector<StagePlan> stages;  // [pp]
  double step_seconds = 0;
  double bubble = 0;  // mean part of a stage's passes that it waits
  double tokens_per_step = 0;
  double tokens_per_second = 0;  // all ranks together
  TrainingFlops flops;           // of a token
  double mfu = 0;                // of all devices' peak
  std::size_t slowest = 0;       // the stage that works the longest
  std::vector<Share> shares;     // of that stage

  double mean_bytes() const;  // of all ranks
  std::size_t fullest_stage() const;
  double fullest_bytes() const { return stages[fullest_stage()].fullest.total(); }
};

// Several ranks may share a device of the kind cpu. REQUIRES: a job that keeps the rules, with
// token_groups given.
Plan make_plan(const Job& job, const Cluster& cluster, const Assumptions& assumptions);

// A reason why a job cannot run on a cluster, and the nearest changes that help.
struct PlanProblem {
  std::string code;  // of diagnostic_codes()
  std::string message;
  std::vector<std::string> fields;
  std::string help;
};

// Those that no plan can be made with: more ranks than devices, arithmetic that these do not have.
std::vector<PlanProblem> cluster_problems(const Job& job, const Cluster& cluster);
// The fullest rank does not fit; the help names the changes that make it fit, tried one by one.
std::vector<PlanProblem> memory_problems(const Job& job, const Cluster& cluster, const Plan& plan);

}  // namespace fulgur
