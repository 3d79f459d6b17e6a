#pragma once

#include <filesystem>
#include <optional>

#include "recipes/job.hpp"
#include "runtime/comm/store.hpp"
#include "runtime/train/host.hpp"

namespace fulgur {

enum class TrainEnd { kComplete, kStopped };  // all steps done; stopped by request, checkpoint written

// One rank's share of a training run, from its start or from `resume` (a committed checkpoint) to the
// last step: blocks until then. Checkpoints lie below <run_directory>/checkpoints.
//
// Throws DataError, CheckpointError, CommError, std::invalid_argument (the Job breaks a rule).
TrainEnd train(const Job& job, Rank rank, const std::optional<std::filesystem::path>& resume, Store& store, Host& host);

// Continues spec.prompt with the model of a checkpoint and prints the text through `host`. One rank.
void generate(const Job& job, const std::filesystem::path& checkpoint, const GenerateSpec& spec, Host& host);

}  // namespace fulgur
