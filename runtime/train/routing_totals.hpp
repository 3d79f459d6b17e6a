#pragma once

#include <cstdint>
#include <span>
#include <vector>

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
  const ModelSpec& model;
  bool has_reference = false;  // else nothing was replayed
};

// Collective over the world; waits. Exchanges only what not every rank knows: drops where there is a
// capacity, replays where there is a reference, and the layers of other stages.
RoutingTotals routing_totals(const StepRouting& step, Mesh& mesh, Stream& stream);

}  // namespace fulgur
