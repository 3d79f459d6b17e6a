#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "recipes/job.hpp"
#include "runtime/parallel/mesh.hpp"
#include "runtime/train/host.hpp"
#include "runtime/train/recording.hpp"

namespace fulgur {

enum class TrainEnd {
  kComplete,    // all steps done
  kStopped,     // by request; the checkpoint is written
  kNextLayout,  // the next step is that of a phase with another layout; the checkpoint is written
};

// Which rank of the job this is, where it computes, and how it finds the others. On a GPU the calling
// thread has chosen it (kernels/devices.hpp).
struct Place {
  Rank rank{0};
  Device device = Device::kCpu;
  MakeGroup make_group = {};
};

// One rank's share of a training run, from its start or from `resume` (a committed checkpoint) to the
// last step, or to the end of a phase behind which one with another layout comes: blocks until then.
// job.layout is that of the phase which the first step belongs to (recipes/phases.hpp). Checkpoints lie below <run_directory>/checkpoints.
//
// Throws DataError, CheckpointError, CommError, std::invalid_argument (the Job breaks a rule),
// DivergedError.
TrainEnd train(const Job& job, const Place& place,
               const std::optional<std::filesystem::path>& resume, Host& host);

// The same from the start, with every step recorded (step_recorder.hpp) in place of checkpoints, below
// the same folder.
TrainEnd record_steps(const Job& job, const Place& place, Host& host,
                      const Recording& recording = {});

// The same from the start, without checkpoints: for the reports alone.
TrainEnd measure_steps(const Job& job, const Place& place, Host& host);

// The loss or the gradient norm is no longer a number: the same on every rank at the same step, so
// training this job again would end the same way.
class DivergedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace fulgur
