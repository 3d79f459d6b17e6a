#include <cuda_runtime.h>

#include "kernels/cuda_launch.cuh"
#include "kernels/token_drop_impl.hpp"

namespace fulgur::cuda {

void key_runs(const KeyRuns& args, Stream& stream) {
  const auto k = args.experts.dims[1], n = args.starts.dims[0] - 1, E = args.num_experts;
  const auto *experts = args.experts.as<std::int32_t>(), *starts = args.starts.as<std::int32_t>();
  auto* keys = args.keys.as<std::int32_t>();
  for_each_element(args.keys.count(), stream, "key_runs", [=] __device__(std::int64_t a) {
    require(experts[a] >= 0 && experts[a] < E);
    keys[a] = static_cast<std::int32_t>(run_of_token(starts, n, a / k) * E + experts[a]);
  });
}

void count_before(const CountBefore& args, Stream& stream) {
  const auto n = args.before.dims[0], E = args.before.dims[1];
  const auto *order = args.order.as<std::int32_t>(), *places = args.places.as<std::int32_t>(),
             *all_offsets = args.all_offsets.as<std::int32_t>();
  auto* before = args.before.as<std::int32_t>();
  for_each_element(n * E, stream, "count_before", [=] __device__(std::int64_t i) {
    std::int32_t sum = 0;
    for (std::int32_t p = 0; p < places[i / E]; ++p) {
      const auto* offsets = all_offsets + order[p] / n * (n * E + 1) + order[p] % n * E + i % E;
      sum += offsets[1] - offsets[0];
    }
    before[i] = sum;
  });
}

// Sums of integers: atomics in any order give the same.
void drop_ranked(const DropRanked& args, Stream& stream) {
  const auto k = args.experts.dims[1], n = args.before.dims[0], E = args.before.dims[1];
  const auto capacity = args.capacity, capacity_alone = args.capacity_alone;
  const auto *experts = args.experts.as<std::int32_t>(), *starts = args.starts.as<std::int32_t>(),
             *rows = args.rows.as<std::int32_t>(), *offsets = args.offsets.as<std::int32_t>(),
             *before = args.before.as<std::int32_t>();
  auto *kept = args.kept.as<std::int32_t>(), *dropped = args.dropped.as<std::int32_t>(),
       *dropped_alone = args.dropped_alone.as<std::int32_t>();
  for_each_element(args.kept.count(), stream, "drop_ranked", [=] __device__(std::int64_t a) {
    const auto key = run_of_token(starts, n, a / k) * E + experts[a];
    const bool is_dropped = before[key] + rows[a] - offsets[key] >= capacity;
    kept[a] = is_dropped ? -1 : experts[a];
    if (is_dropped) atomicAdd(dropped, 1);
  });
  for_each_element(E, stream, "drop_ranked", [=] __device__(std::int64_t e) {
    std::int64_t assignments = 0;
    for (auto key = e; key < n * E; key += E)
      assignments += offsets[key + 1] - offsets[key];
    if (assignments > capacity_alone)
      atomicAdd(dropped_alone, static_cast<std::int32_t>(assignments - capacity_alone));
  });
}

}  // namespace fulgur::cuda
