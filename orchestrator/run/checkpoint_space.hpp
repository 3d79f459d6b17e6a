#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "recipes/job.hpp"

namespace fulgur {

// Bytes of a checkpoint: every parameter with AdamW's two moments, in float32.
std::int64_t checkpoint_bytes(const Job& job);

// What a user should know when `free` bytes do not hold the checkpoints that a run keeps and, beside them,
// the next one, less the `existing` ones: a run goes on when a checkpoint cannot be written, and would be
// left with the old ones. Nothing when there is room.
std::optional<std::string> checkpoint_space_warning(const Job& job, std::int64_t existing,
                                                    std::int64_t free);

// The same with the checkpoints and the free space of the run directory, or of the nearest folder above it
// that is there. Nothing when that cannot be asked.
std::optional<std::string> checkpoint_space_warning(const Job& job);

}  // namespace fulgur
