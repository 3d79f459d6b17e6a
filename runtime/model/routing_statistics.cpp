#include "runtime/model/routing_statistics.hpp"

namespace fulgur {

RoutingStatistics RoutingStatistics::allocate(const Context& ctx, std::int64_t layers,
                                              std::int64_t experts) {
  const RoutingStatistics statistics{
      .counts = ctx.arena.allocate({layers, experts}, DType::kInt32),
      .probability_sums = ctx.arena.allocate({layers, experts}, DType::kFloat64),
      .dropped = ctx.arena.allocate({layers}, DType::kInt32),
      .dropped_local = ctx.arena.allocate({layers}, DType::kInt32),
      .replayed = ctx.arena.allocate({layers}, DType::kInt32)};
  for (const auto& tensor : {statistics.counts, statistics.probability_sums, statistics.dropped,
                             statistics.dropped_local, statistics.replayed})
    fill_zero(tensor, ctx.stream);
  return statistics;
}

RoutingStatistics RoutingStatistics::of_layer(std::int64_t layer) const {
  return {.counts = counts.select(0, layer),
          .probability_sums = probability_sums.select(0, layer),
          .dropped = dropped.slice(0, layer, 1),
          .dropped_local = dropped_local.slice(0, layer, 1),
          .replayed = replayed.slice(0, layer, 1)};
}

}  // namespace fulgur
