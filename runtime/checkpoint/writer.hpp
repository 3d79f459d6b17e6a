#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "runtime/checkpoint/folders.hpp"
#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// What one rank saves of one logical tensor. The values must stay unchanged during write_shard.
struct Piece {
  std::string tensor;
  Box box;
  std::span<const float> values;  // of the box, row-major
};

// Writes <folder>/shard-<rank>.h5, hashed from memory first, every status checked, fsynced. Makes the
// folder if it is missing. Throws CheckpointError::Kind::kIo and leaves no file then. May run on several
// threads at once, for different ranks.
ShardRecord write_shard(const std::filesystem::path& folder, int rank,
                        std::span<const Piece> pieces);

// The coordinator's part, when all shards of <root>/.tmp-<name> are written: checks that every element
// of every tensor is covered exactly once, writes index.h5 (virtual datasets), manifest.json and
// manifest.json.sha256, fsyncs, renames the folder to <root>/step-<10 digits>, fsyncs the root, updates
// the hint `latest`, and removes all but the newest `keep` checkpoints. Returns the final path. An
// existing checkpoint of the same step is replaced.
//
// Files in `staging` that are no shard of the manifest are removed: those of an earlier attempt. Only
// checkpoints that are older than the new one are removed, and those that do not open do not count for
// `keep`. A `latest` or an old checkpoint that cannot be written or removed is no failure: the commit
// stands, and the next one tries again.
//
// Throws CheckpointError: kInvalid when the shards are not what the manifest says (then nothing was
// committed), kIo when the disk fails. Throws std::invalid_argument when keep is below 1.
std::filesystem::path commit_checkpoint(const std::filesystem::path& root,
                                        const std::filesystem::path& staging,
                                        const Manifest& manifest, std::int64_t keep);

}  // namespace fulgur
