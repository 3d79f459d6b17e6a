#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/submit/submission.hpp"

namespace fulgur {

// How a run is, as far as its directory and the scheduler say.
struct RunStatus {
  std::filesystem::path directory;
  std::string name;
  // PENDING: in the scheduler's queue; RUNNING; SUCCEEDED; STOPPED: with a checkpoint, to be gone on with;
  // FAILED; CANCELLED: before it began; LOST: it ended without a word.
  std::string state;
  int attempt = 0;
  std::int64_t step = 0;  // the last one done
  std::optional<double> loss;
  std::string updated;                   // UTC, when run.json was written
  std::optional<Submission> submission;  // the last
  std::string scheduler_state;           // of its job, in the scheduler's words; empty: unknown
  std::optional<pid_t> holder;           // the process that uses the directory
};

// What a state is called, from what run.json says ("running", "complete", "stopped", "failed", or empty
// without one), what the scheduler says of the last submission, and whether a process holds the directory.
std::string state_of(const std::string& recorded, const std::string& scheduler_state, bool held);

// Throws std::invalid_argument when the folder is no run directory.
RunStatus run_status(const std::filesystem::path& directory);

// All runs right below a folder, by name.
std::vector<RunStatus> all_runs(const std::filesystem::path& folder);

std::string to_json(const RunStatus& status);

}  // namespace fulgur
