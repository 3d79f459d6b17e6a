#pragma once

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "orchestrator/coordinator/decide.hpp"
#include "orchestrator/run/run_directory.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/job.hpp"
#include "runtime/checkpoint/folders.hpp"

namespace fulgur {

// The recipe is another one than that of the checkpoint which the run is to go on from.
class IdentityError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The checkpoint to go on from: the newest that is sound; nothing when there is none. Damaged ones that
// were passed over are told on stderr.
//
// Throws CheckpointError::Kind::kInvalid when there are checkpoints and none is sound, IdentityError
// when it is of another model, data, batch or optimizer than `job`.
std::optional<CheckpointInfo> find_start(const RunDirectory& directory, const Job& job);

// How an attempt ended.
struct AttemptEnd {
  int exit_code = 0;
  std::optional<int> stop_signal;  // that asked for a stop; 0: stop_at was reached
  std::int64_t steps = 0;          // that it did
};

// A recipe on its way to a run.
struct TrainingRun {
  Job job;                       // as the recipe has it; what it leaves to the planner is open
  std::filesystem::path recipe;  // as the user named it
  std::string resume_command;    // for messages
  std::vector<EnvironmentUse> environment = {};  // what the recipe read of it, for run.json
  std::optional<TimePoint> stop_at = {};         // then it stops with a checkpoint
  bool measures = false;                         // only the metrics count: nothing is saved
};

// The job as its workers get it when the run has seen `tokens` tokens: on the layout of that phase, and with
// what is left to the planner decided for it.
Job launched_job(const Job& job, std::int64_t tokens);

// Trains from `start`, or from new weights, to the last step or a stop, and keeps the run directory's
// files. Where a phase has another layout than the one before it, the workers end with a checkpoint, and
// others go on from it. Progress goes to stdout; what went wrong to stderr, last.
AttemptEnd train_to_end(const TrainingRun& run, RunDirectory& directory,
                        std::optional<CheckpointInfo> start);

}  // namespace fulgur
