#pragma once

#include <filesystem>

#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// Writes <folder>/index.h5, durable: every tensor of the manifest as one HDF5 virtual dataset with its
// name and shape, stitched from the shards beside it. It is for people and tools (h5dump, h5py); where a
// shard is missing they see NaN. Returns its record. Throws CheckpointError::Kind::kIo.
//
// The manifest must pass check_manifest() and check_coverage().
ShardRecord write_index(const std::filesystem::path& folder, const Manifest& manifest);

}  // namespace fulgur
