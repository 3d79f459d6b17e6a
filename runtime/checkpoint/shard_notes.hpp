#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// What a rank tells the coordinator about its shard is a file beside the shard: a rank of a large model
// has tens of thousands of pieces, more than a frame of the control connection can hold. The connection
// carries the file's hash alone. The commit removes the files, as all that is no shard.

// Writes <folder>/shard-<rank>.json: the manifest, whose only shard is that of the rank. Returns the
// SHA-256 of the file. Throws CheckpointError::Kind::kIo.
std::string write_shard_note(const std::filesystem::path& folder, int rank,
                             const Manifest& manifest);

// The manifest of rank 0 with the shards of all ranks, in rank order. `sha256` has the hash of every
// rank's file. Throws CheckpointError::Kind::kInvalid, with the file, when one is missing, is not the one
// of the hash, or is not of one shard of the step.
Manifest gather_shard_notes(const std::filesystem::path& folder, std::int64_t step,
                            std::span<const std::string> sha256);

}  // namespace fulgur
