#pragma once

#include <memory>
#include <optional>
#include <string>

#include "recipes/job.hpp"
#include "runtime/comm/flight_recorder.hpp"
#include "runtime/comm/store.hpp"
#include "runtime/comm/ucx.hpp"
#include "runtime/train/trainer.hpp"
#include "worker/placement.hpp"

namespace fulgur {

// Where a worker of a job computes, and over what it exchanges tensors (worker/placement.hpp has the
// rule): NCCL between GPUs, or UCX, with staging in page-locked host memory for tensors of a GPU.
class Workplace {
 public:
  // Throws JobError when the job wants what this machine or this build has not. What is passed by
  // reference outlives the workplace.
  Workplace(const Job& job, Store& store, FlightRecorder& recorder, Rank rank,
            const LocalRank& local);

  Place place() const;

 private:
  std::unique_ptr<Communicator> make_group(const std::string& name, int rank, int size) const;

  const Job& job_;
  Store& store_;
  FlightRecorder& recorder_;
  Rank rank_;
  Placement placement_;
  std::optional<UcxContext> ucx_;  // where the transport is UCX
};

}  // namespace fulgur
