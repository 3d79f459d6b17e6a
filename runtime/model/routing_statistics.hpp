#pragma once

#include "kernels/context.hpp"

namespace fulgur {

// How the tokens of one micro-batch were routed: what the auxiliary loss and the metrics are made of.
// of_layer() is that of one layer: [E] and [1].
struct RoutingStatistics {
  Tensor counts;            // [L, E] int32: tokens that chose an expert, dropped ones included
  Tensor probability_sums;  // [L, E] float64: sum of the router's probabilities
  Tensor dropped;           // [L] int32: assignments above the capacity of their expert
  Tensor dropped_local;  // [L] int32: what a capacity on every rank of its own would have dropped

  Tensor replayed;  // [L] int32: tokens that took the choice of a reference (Batch::reference)

  static RoutingStatistics allocate(const Context& ctx, std::int64_t layers, std::int64_t experts);

  RoutingStatistics of_layer(std::int64_t layer) const;
};

}  // namespace fulgur
