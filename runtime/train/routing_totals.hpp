#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/readback.hpp"
#include "recipes/job.hpp"
#include "runtime/model/routing_statistics.hpp"
#include "runtime/parallel/mesh.hpp"

namespace fulgur {

// How the tokens of a step were routed, over all its micro-batches; the same on every rank.
struct RoutingTotals {
  std::vector<std::int64_t> counts;         // [L, E]: assignments that chose an expert
  std::vector<std::int64_t> dropped;        // [L]
  std::vector<std::int64_t> dropped_local;  // [L]: had every rank a capacity of its own
  std::vector<std::int64_t> replayed;       // [L]: tokens that took a reference's choice
};

// What one rank counted in a step.
struct StepRouting {
  const RoutingStatistics&
      counters;  // [micro-batch, layers here] in front; counts are of the stage
  std::span<const std::int64_t> layers;  // of the model, as the counters have them
  bool has_reference = false;            // else nothing was replayed
};

// Adds up what the ranks counted, and brings it to the host.
//
// Threads. One thread.
class RoutingReader {
 public:
  // What is passed by reference outlives the reader.
  RoutingReader(const ModelSpec& model, Mesh& mesh)
      : model_(model), mesh_(mesh), readback_(mesh.device()) {}

  // Collective over the world, waits for nothing. Exchanges only what not every rank knows: drops where
  // there is a capacity, replays where there is a reference, and the layers of other stages.
  void queue(const StepRouting& step, Stream& stream);

  // Of the last queue(); waits for it.
  RoutingTotals totals() const;

 private:
  std::int64_t columns() const { return model_.experts + 3; }

  const ModelSpec& model_;
  Mesh& mesh_;
  Buffer memory_;
  // [micro-batch, layer of the model, counts of the E experts and dropped, dropped_local, replayed] int32
  Tensor table_;
  Readback readback_;
};

}  // namespace fulgur
