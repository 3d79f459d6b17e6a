#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/launch/launcher.hpp"
#include "cluster/wire/messages.hpp"
#include "orchestrator/coordinator/decide.hpp"
#include "recipes/job.hpp"

namespace fulgur {

// What workers are to be started for.
struct CoordinatorSetup {
  Job job;
  std::string task = "train";  // as in Assignment
  int world = 1;
  int attempt = 1;
  std::int64_t from = 0;  // the step of `checkpoint`
  std::string run_id;
  LauncherFactory launcher;           // starts the workers
  std::string secret;                 // of the run; empty: one is drawn
  std::filesystem::path logs;         // empty: the workers' streams are this program's
  std::filesystem::path checkpoint;   // as in Assignment
  std::filesystem::path source;       // as in Assignment
  std::filesystem::path destination;  // as in Assignment
  Limits limits;
  // Of the steady clock: then the workers are asked to checkpoint and stop.
  std::optional<TimePoint> stop_at;
};

// What is told while the run goes on; all may be empty.
struct CoordinatorHooks {
  // All workers are started, but have not joined yet. In order of rank.
  std::function<void(std::uint16_t port, const std::vector<WorkerFacts>& workers)> started;
  std::function<void(int rank, const std::string& name)> gpu;
  // The state has what every rank occupies.
  std::function<void(const StepDone&, const RunState&)> step;
  std::function<void(const std::string&)> print;
  // A checkpoint was committed, or dropped for `problem`.
  std::function<void(std::int64_t step, const std::string& problem)> checkpoint;
  // A stop was asked for, by a signal or, with 0, because it is time.
  std::function<void(int signal)> stopping;
  // A rank holds the others up.
  std::function<void(int rank, const std::string& reason)> straggler;
  // What a log should say ("rank 2 joined") and nobody must read.
  std::function<void(const std::string&)> note;
};

struct RunResult {
  int exit_code = 0;
  RunState state;
  std::vector<WorkerFacts> workers;
};

// Starts one worker per rank, brings them together, serves them, watches them and returns
// when all have ended: their work is done, they were told to stop, or one of them failed and the others
// were ended.
//
// SIGINT, SIGTERM, SIGUSR1, SIGUSR2 and SIGHUP, here or at a node, ask the workers to checkpoint and stop;
// the second SIGINT of this process ends them at once, the others change nothing more. Call it from the main thread: workers are killed when the thread that started
// them ends.
//
// Throws LaunchError when a worker cannot be started, boost::system::system_error when there is no port.
// No worker is left then either. An exception of a hook ends the run and is thrown on.
RunResult coordinate(const CoordinatorSetup& setup, const CoordinatorHooks& hooks);

}  // namespace fulgur
