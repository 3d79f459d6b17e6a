#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/checkpoint/writer.hpp"
#include "runtime/optim/sharded_adamw.hpp"
#include "runtime/train/host.hpp"

namespace fulgur {

// Saves what this rank owns: copies it first (the snapshot), then writes the copy on a thread of its own
// while training goes on. One checkpoint is in the making at a time.
class Checkpointer {
 public:
  // `owned` and `host` must outlive it. `root` is the run's checkpoints folder.
  Checkpointer(std::filesystem::path root, Rank rank, std::span<const OwnedRange> owned,
               Host& host);

  // Waits until the save before it is committed or dropped, so that a slow disk slows training down
  // instead of filling up; takes the snapshot behind the stream's work, and returns. A failed write is
  // told to the host and ends nothing: the older checkpoints are still there.
  // `manifest` says what is saved; its tensors and shards are filled in here and by the coordinator.
  void save(Manifest manifest, Stream& stream);

  // Waits until the last save is written (not: committed).
  void wait();

 private:
  void write(const Manifest& manifest);

  std::filesystem::path root_;
  int rank_;
  std::span<const OwnedRange> owned_;
  Host& host_;
  std::vector<std::vector<float>> snapshot_;  // weight, exp_avg, exp_avg_sq of every owned range
  std::optional<std::int64_t> saved_;         // the step of the last save
  std::jthread writer_;
};

// The logical tensors of a training checkpoint: "model/", "exp_avg/" and "exp_avg_sq/" + the parameter.
std::vector<TensorRecord> training_tensors(const ModelSpec& model);

}  // namespace fulgur
