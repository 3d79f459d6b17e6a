#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/token_drop_impl.hpp"

namespace fulgur::cpu {
namespace {

void key(const KeyRuns& args) {
  const auto k = args.experts.dims[1], n = args.starts.dims[0] - 1, E = args.num_experts;
  const auto *experts = args.experts.as<std::int32_t>(), *starts = args.starts.as<std::int32_t>();
  auto* keys = args.keys.as<std::int32_t>();
  for (std::int64_t a = 0; a < args.keys.count(); ++a) {
    if (experts[a] < 0 || experts[a] >= E) {
      throw std::invalid_argument("key_runs: experts: expected a number from 0 to " +
                                  std::to_string(E - 1) + ", got " + std::to_string(experts[a]));
    }
    keys[a] = static_cast<std::int32_t>(run_of_token(starts, n, a / k) * E + experts[a]);
  }
}

void count(const CountBefore& args) {
  const auto n = args.before.dims[0], E = args.before.dims[1];
  const auto *order = args.order.as<std::int32_t>(), *places = args.places.as<std::int32_t>();
  auto* before = args.before.as<std::int32_t>();
  std::fill_n(before, n * E, 0);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int32_t p = 0; p < places[i]; ++p) {
      const auto rank = order[p] / n, run = order[p] % n;
      const auto* offsets = args.all_offsets.as<std::int32_t>() + rank * (n * E + 1) + run * E;
      for (std::int64_t e = 0; e < E; ++e)
        before[i * E + e] += offsets[e + 1] - offsets[e];
    }
  }
}

std::int32_t excess_alone(const DropRanked& args) {
  const auto n = args.before.dims[0], E = args.before.dims[1];
  const auto* offsets = args.offsets.as<std::int32_t>();
  std::int64_t excess = 0;
  for (std::int64_t e = 0; e < E; ++e) {
    std::int64_t assignments = 0;
    for (auto key = e; key < n * E; key += E)
      assignments += offsets[key + 1] - offsets[key];
    excess += std::max(assignments - args.capacity_alone, std::int64_t{0});
  }
  return static_cast<std::int32_t>(excess);
}

void drop(const DropRanked& args) {
  const auto k = args.experts.dims[1], n = args.before.dims[0], E = args.before.dims[1];
  const auto *experts = args.experts.as<std::int32_t>(), *starts = args.starts.as<std::int32_t>(),
             *rows = args.rows.as<std::int32_t>(), *offsets = args.offsets.as<std::int32_t>(),
             *before = args.before.as<std::int32_t>();
  auto* kept = args.kept.as<std::int32_t>();
  std::int32_t dropped = 0;
  for (std::int64_t a = 0; a < args.kept.count(); ++a) {
    const auto key = run_of_token(starts, n, a / k) * E + experts[a];
    const bool is_dropped = before[key] + rows[a] - offsets[key] >= args.capacity;
    kept[a] = is_dropped ? -1 : experts[a];
    dropped += is_dropped;
  }
  *args.dropped.as<std::int32_t>() += dropped;
  *args.dropped_alone.as<std::int32_t>() += excess_alone(args);
}

}  // namespace

void key_runs(const KeyRuns& args, Stream& stream) {
  stream.run([args] { key(args); });
}
void count_before(const CountBefore& args, Stream& stream) {
  stream.run([args] { count(args); });
}
void drop_ranked(const DropRanked& args, Stream& stream) {
  stream.run([args] { drop(args); });
}

}  // namespace fulgur::cpu
