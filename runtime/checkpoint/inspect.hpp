#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "recipes/job.hpp"
#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// What people want to know of checkpoints without loading them: `fulgur ckpt ls` and `show`.

// The checkpoint that a user means by a path: a checkpoint itself, a folder of checkpoints or a run
// directory (then the newest in it). Throws CheckpointError::Kind::kInvalid when there is none.
std::filesystem::path find_checkpoint(const std::filesystem::path& path);
// The folder of checkpoints that a user means: of a run directory, or the folder itself.
std::filesystem::path find_checkpoint_root(const std::filesystem::path& path);

struct CheckpointSummary {
  std::filesystem::path path;
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  std::int64_t bytes = 0;  // of all its files
  std::string created;     // UTC, "2026-01-31T12:00:00Z"
  std::string problem;  // empty: the manifest is sound, and all shards are there with their sizes
};
// Oldest first. Hashes of shards are not checked: verify_checkpoint does that.
std::vector<CheckpointSummary> summarise_checkpoints(const std::filesystem::path& root);

struct CheckpointDetails {
  CheckpointSummary summary;
  Manifest manifest;  // with all tensors, shards and pieces
  Job job;            // that wrote it
  std::int64_t parameters = 0;
};
// Throws CheckpointError::Kind::kInvalid when the checkpoint does not open.
CheckpointDetails describe_checkpoint(const std::filesystem::path& folder);

}  // namespace fulgur
