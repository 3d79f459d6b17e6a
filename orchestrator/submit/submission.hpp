#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "orchestrator/submit/batch_script.hpp"

namespace fulgur {

// What was submitted last for a run; stands in <run directory>/submission.json.
struct Submission {
  std::string job;  // of Slurm
  std::filesystem::path script;
  std::string time;  // UTC

  friend bool operator==(const Submission&, const Submission&) = default;
};

// Writes the script to <run directory>/batch.sh, submits it, and keeps what came of it. Throws
// SchedulerError; LaunchError without Slurm; std::filesystem::filesystem_error, std::system_error.
Submission submit_run(const BatchScript& script, const std::filesystem::path& run_directory);

// Nothing when the run was never submitted, or its file is no longer read.
std::optional<Submission> read_submission(const std::filesystem::path& run_directory);

}  // namespace fulgur
