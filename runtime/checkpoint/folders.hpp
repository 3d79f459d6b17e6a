#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fulgur {

// The folder of a run's checkpoints (the root) holds
//
//   step-0000000100/        a committed checkpoint
//   .tmp-step-0000000150/   one that is being written, or that a dead run left behind
//   latest                  the name of the newest commit: a hint for people; programs list the folder

// <root>/.tmp-step-<10 digits>, where all ranks write their shards of a step.
std::filesystem::path staging_folder(const std::filesystem::path& root, std::int64_t step);

// <root>/step-<10 digits>
std::filesystem::path checkpoint_folder(const std::filesystem::path& root, std::int64_t step);

struct CheckpointInfo {
  std::filesystem::path path;
  std::int64_t step = 0;
};
// The committed checkpoints below root, oldest first; folders being written are not among them. None
// when there is no root. Throws CheckpointError::Kind::kIo when the folder cannot be read.
std::vector<CheckpointInfo> list_checkpoints(const std::filesystem::path& root);

// Removes what dead runs left behind, all of .tmp-*, and returns the names. Only for who holds the lock
// of the run directory, and before any rank writes. A checkpoint that was being replaced when the run
// died goes back to its place.
std::vector<std::string> remove_leftovers(const std::filesystem::path& root);

// Moves the folder `staging` to checkpoint_folder(root, step), durable; one that stands there already is
// exchanged for it in one go, then removed. Throws CheckpointError::Kind::kIo.
std::filesystem::path publish(const std::filesystem::path& root,
                              const std::filesystem::path& staging, std::int64_t step);

// Removes a committed checkpoint: it disappears at once, its files after that.
void remove_checkpoint(const std::filesystem::path& root, const CheckpointInfo& checkpoint);

}  // namespace fulgur
