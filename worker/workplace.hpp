#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "recipes/job.hpp"
#include "runtime/comm/flight_recorder.hpp"
#include "runtime/comm/store.hpp"
#include "runtime/comm/ucx.hpp"
#include "runtime/train/trainer.hpp"

namespace fulgur {

// A job that breaks a rule, or wants what this machine has not.
class JobError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Where a worker of a job computes, and over what it exchanges tensors: UCX between processors, NCCL
// between GPUs, one worker for each.
class Workplace {
 public:
  // Chooses the device: what the job says; with auto the GPUs, if this machine has one for every worker. Not yet with pipeline stages: two
  // processes with one GPU each waited for each other for ever in their first step.
  // Throws JobError when the job wants a GPU and there is none for this rank. What is passed
  // by reference outlives the workplace.
  Workplace(const Job& job, Store& store, FlightRecorder& recorder, Rank rank);

  Place place() const;

 private:
  std::unique_ptr<Communicator> make_group(const std::string& name, int rank, int size) const;

  const Job& job_;
  Store& store_;
  FlightRecorder& recorder_;
  Rank rank_;
  Device device_;
  std::optional<UcxContext> ucx_;  // on the CPU
};

}  // namespace fulgur
