#pragma once

#include <filesystem>

#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// Whether the pieces of all shards hold every element of every tensor exactly once: no two boxes of a
// tensor overlap, and together they have as many elements as it. Throws
// CheckpointError::Kind::kInvalid with the tensor and the first box that is missing, or one that is there
// twice with its two shards; `path` is for the message. The manifest must pass check_manifest().
//
// Cost for n boxes of a tensor: n log n and the pairs that meet in the dim that tells them apart best.
void check_coverage(const Manifest& manifest, const std::filesystem::path& path);

}  // namespace fulgur
