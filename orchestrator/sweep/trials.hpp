#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/sweep/candidates.hpp"
#include "orchestrator/sweep/statistics.hpp"

namespace fulgur {

// A candidate that was run, or was to be.
struct Trial {
  const Candidate* candidate = nullptr;
  std::filesystem::path directory;  // of its run
  int exit_code = 0;
  // Of a run that is complete, without the warm-up.
  std::optional<Estimate> seconds_per_token;  // of all ranks together
  double memory = 0;                          // bytes that the fullest rank occupied
  double loss = 0;                            // of the last step

  double tokens_per_second() const { return 1 / seconds_per_token->mean; }
  double tokens_per_rank() const { return tokens_per_second() / candidate->world(); }
  // Of the 95 % confidence interval of tokens_per_second().
  double low() const;
  double high() const;
};

// <directory>/trials/<hash of the job>, the same whenever the sweep is started again.
std::filesystem::path trial_directory(const std::filesystem::path& directory, const Job& job);

// The candidate's job as its trial runs it: so many steps, nothing saved, nothing written by the model.
Job trial_job(const Candidate& candidate, const SweepSection& sweep,
              const std::filesystem::path& directory);

// What metrics.jsonl of a trial's run says. Throws std::runtime_error when it does not hold the steps.
void read_trial(Trial& trial, const SweepSection& sweep);

// Runs it, unless it is complete already. Messages of the run go to the terminal.
Trial run_trial(const Candidate& candidate, const SweepSection& sweep,
                const std::filesystem::path& recipe, const std::filesystem::path& directory);

}  // namespace fulgur
