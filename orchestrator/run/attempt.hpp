#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/coordinator/coordinator.hpp"
#include "orchestrator/coordinator/supervise.hpp"
#include "orchestrator/run/journal.hpp"
#include "orchestrator/run/launching.hpp"
#include "orchestrator/run/progress.hpp"
#include "orchestrator/run/training_run.hpp"
#include "orchestrator/run/utilisation.hpp"

namespace fulgur {

// One attempt of a run: what it tells on the terminal and writes into the run directory while it goes on. What
// is passed by reference outlives it.
class Attempt {
 public:
  // `run.job` has nothing left to the planner. Throws LaunchError.
  Attempt(const TrainingRun& run, RunDirectory& directory,
          const std::optional<CheckpointInfo>& start);

  // To its end.
  event::AttemptEnded run();

  // Behind run(): the run ends with this attempt.
  void conclude(int exit_code);

  // A line for the terminal and the events.
  void tell(const std::string& event, const std::string& text);

  const std::string& verdict() const noexcept { return verdict_; }  // empty: nothing went wrong
  std::int64_t steps() const noexcept { return num_steps_; }        // that it did
  std::optional<int> stop_signal() const noexcept { return stop_signal_; }  // 0: it was time

 private:
  void announce();
  CoordinatorHooks hooks();
  Utilisation believable(Utilisation use);
  void checkpointed(std::int64_t step, const std::string& problem);
  void write_run_file(const char* state, std::uint16_t port,
                      const std::vector<WorkerFacts>& workers);

  const TrainingRun& run_;
  RunDirectory& directory_;
  const std::optional<CheckpointInfo>& start_;
  Launching launching_;
  CoordinatorSetup setup_;
  EventLog events_;
  LineFile metrics_;
  Progress progress_;
  std::string verdict_;
  std::optional<double> peak_;  // FLOP/s of a rank's GPU, as far as known
  StepDone last_;
  std::int64_t num_steps_ = 0;
  std::optional<int> stop_signal_;
};

}  // namespace fulgur
