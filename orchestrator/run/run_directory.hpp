#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>

#include "cluster/launch/unique_fd.hpp"

namespace fulgur {

// Another process uses the run directory. The message names it.
class InUseError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The process that holds a run directory, as its lock file says; nothing when none does.
std::optional<pid_t> holder_of(const std::filesystem::path& directory);

// The folder of a run, held by this process alone:
//
//   recipe.yaml            as the user wrote it, at the latest start
//   recipe.resolved.json   the Job that came of it
//   plan.json              what the planner predicts for it, on one node for its device (docs/plan.md)
//   run.json               the latest start: pid, port, attempt, ... and how it ended
//   lock                   locked by the process that uses the folder; holds its pid
//   metrics.jsonl          one line per step
//   events.jsonl           one line per thing that happened
//   verdict.txt            why an attempt failed, the latest that did
//   batch.sh, submission.json   what was submitted last (docs/clusters.md), and slurm-<job>.log
//   logs/attempt-0001/     rank-00000.out, rank-00000.err, ... of each start
//   checkpoints/           runtime/checkpoint/folders.hpp
class RunDirectory {
 public:
  // Makes the folder when it is missing, and locks it. Throws InUseError, std::filesystem::
  // filesystem_error, std::system_error.
  explicit RunDirectory(std::filesystem::path path);

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path events() const { return path_ / "events.jsonl"; }
  std::filesystem::path logs() const;  // of this attempt
  int attempt() const noexcept { return attempt_; }

  // The next attempt: its folder for logs is made.
  void begin_attempt();

  // Puts what earlier attempts reached out of the way, into before-attempt-<number>/.
  void set_aside();

  // Replaces a file as a whole: readers see the old or the new text.
  void write(const std::string& name, const std::string& text) const;

 private:
  int latest_attempt() const;

  std::filesystem::path path_;
  UniqueFd lock_;
  int attempt_ = 0;
};

}  // namespace fulgur
