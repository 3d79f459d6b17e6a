#pragma once

#include <filesystem>

#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// Whether the pieces of all shards hold every element of every tensor exactly once. Throws
// CheckpointError::Kind::kInvalid with the tensor and the first range that is missing or there twice;
// `path` is for the message. The manifest must pass check_manifest(). Cost: n log n in the pieces.
void check_coverage(const Manifest& manifest, const std::filesystem::path& path);

}  // namespace fulgur
