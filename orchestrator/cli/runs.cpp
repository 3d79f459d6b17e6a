#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>
#include <thread>

#include "cluster/exit_codes.hpp"
#include "cluster/launch/launcher.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/coordinator/verdict.hpp"
#include "orchestrator/submit/run_status.hpp"
#include "orchestrator/submit/scheduler.hpp"

// What one asks of runs that are there: status, list, logs, cancel.

namespace fulgur {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kBetweenLooks{300};

RunStatus status_of(const fs::path& directory) {
  try {
    return run_status(directory);
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
}

bool goes_on(const RunStatus& status) {
  return status.state == "RUNNING" || status.state == "PENDING";
}

std::string progress(const RunStatus& status) {
  if (status.step == 0) return "no step yet";
  return status.loss ? fmt::format("step {}, loss {:.4f}", status.step, *status.loss)
                     : fmt::format("step {}", status.step);
}

// The files to show: those that were named, or what the run prints where a scheduler keeps it, or what its
// workers wrote in the latest attempt.
std::vector<fs::path> log_files(const LogsOptions& options, const RunStatus& status) {
  const auto attempt = status.directory / "logs" / fmt::format("attempt-{:04}", status.attempt);
  if (options.rank)
    return {log_file(attempt, *options.rank, "out"), log_file(attempt, *options.rank, "err")};
  if (status.submission) {
    const auto console = status.directory / fmt::format("slurm-{}.log", status.submission->job);
    if (fs::exists(console) || goes_on(status)) return {console};
  }
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(attempt, none)) {
    if (entry.file_size() > 0) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Prints what came to a file since the last time.
class Follower {
 public:
  void show_new(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary | std::ios::ate);
    if (!stream) return;
    const std::streamoff size = stream.tellg();
    auto& shown = shown_[file];
    if (size <= shown) return;
    std::string text(static_cast<std::size_t>(size - shown), '\0');
    stream.seekg(shown);
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    shown = size;
    fmt::print("{}", text);
  }
  void skip(const fs::path& file) {
    std::error_code none;
    const auto size = fs::file_size(file, none);
    shown_[file] = none ? 0 : static_cast<std::streamoff>(size);
  }

 private:
  std::map<fs::path, std::streamoff> shown_;
};

void cancel_on_slurm(const RunStatus& status, bool now) {
  const auto& job = status.submission->job;
  const bool writes = status.state == "RUNNING" && !now;
  cancel_in_slurm(job, writes ? "TERM" : "");
  fmt::print("{}: job {} is {}\n", status.name, job,
             writes ? "told to write a checkpoint and stop" : "cancelled");
}

void cancel_here(const RunStatus& status, bool now) {
  const pid_t pid = *status.holder;
  const int number = now ? SIGINT : SIGTERM;
  for (int i = 0; i < (now ? 2 : 1); ++i) {  // the second SIGINT ends it at once
    if (::kill(pid, number) != 0) {
      throw UsageError(fmt::format("process {} uses {}, and is not here: {}", pid,
                                   status.directory.string(), std::strerror(errno)));
    }
    if (now) std::this_thread::sleep_for(kBetweenLooks);
  }
  fmt::print("{}: process {} is told to {}\n", status.name, pid,
             now ? "stop at once" : "write a checkpoint and stop");
}

}  // namespace

int run_command(const StatusOptions& options) {
  const auto status = status_of(options.where);
  if (options.json) {
    fmt::print("{}\n", to_json(status));
    return kExitDone;
  }
  fmt::print("{}: {}; {}", status.name, status.state, progress(status));
  if (status.attempt > 0) fmt::print("; attempt {}, {}", status.attempt, status.updated);
  fmt::print("\n");
  if (status.submission) {
    fmt::print("  job {} of Slurm, submitted {}: {}\n", status.submission->job,
               status.submission->time,
               status.scheduler_state.empty() ? "unknown to it" : status.scheduler_state);
  }
  if (status.holder) fmt::print("  process {}\n", *status.holder);
  return kExitDone;
}

int run_command(const RunsOptions& options) {
  if (!fs::is_directory(options.folder))
    throw UsageError(fmt::format("{}: is no folder", options.folder.string()));
  for (const auto& status : all_runs(options.folder)) {
    if (options.json)
      fmt::print("{}\n", to_json(status));
    else
      fmt::print("{:<32} {:<10} {:<28} {}\n", status.directory.string(), status.state,
                 progress(status), status.updated);
  }
  return kExitDone;
}

int run_command(const LogsOptions& options) {
  auto status = status_of(options.where);
  Follower follower;
  const auto files = log_files(options, status);
  for (const auto& file : files) {
    if (files.size() > 1) fmt::print("==> {} <==\n", file.string());
    for (const auto& line : last_lines(file, static_cast<std::size_t>(options.lines)))
      fmt::print("{}\n", line);
    follower.skip(file);
  }
  while (options.follow && goes_on(status)) {
    std::fflush(stdout);
    std::this_thread::sleep_for(kBetweenLooks);
    status = run_status(options.where);
    for (const auto& file : log_files(options, status))
      follower.show_new(file);
  }
  return kExitDone;
}

int run_command(const CancelOptions& options) {
  const auto status = status_of(options.where);
  const bool in_queue = status.submission && (status.scheduler_state == "PENDING" ||
                                              status.scheduler_state == "RUNNING");
  if (in_queue)
    cancel_on_slurm(status, options.now);
  else if (status.holder)
    cancel_here(status, options.now);
  else
    throw UsageError(fmt::format("{}: there is nothing to cancel; it is {}", options.where.string(),
                                 status.state));
  return kExitDone;
}

}  // namespace fulgur
