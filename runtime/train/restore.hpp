#pragma once

#include <filesystem>
#include <span>

#include "recipes/job.hpp"
#include "runtime/checkpoint/reader.hpp"
#include "runtime/data/mixture.hpp"
#include "runtime/optim/sharded_adamw.hpp"

namespace fulgur {

// How far a run has come.
struct Progress {
  std::int64_t step = 0;    // optimizer steps done
  std::int64_t tokens = 0;  // seen: the data cursor
};

// Reads what this rank owns of a checkpoint, by logical range, whatever layout wrote it. Queued on `stream`.
//
// Throws CheckpointError when it is damaged, or when its job is not `job`: a run that goes on with another
// model would not be the same run. Throws DataError when the text has changed.
Progress restore(const Job& job, const std::filesystem::path& checkpoint, Mixture& data,
                 std::span<const OwnedRange> owned, Stream& stream);

// Fills this rank's part of all weights from the logical tensors "model/...". Queued on `stream`.
void read_weights(CheckpointReader& reader, const ParameterSet& parameters, Stream& stream);

}  // namespace fulgur
