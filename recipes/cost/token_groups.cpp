#include "recipes/cost/token_groups.hpp"

#include <algorithm>

#include "recipes/cost/collectives.hpp"
#include "recipes/cost/pass_time.hpp"
#include "recipes/cost/rank_shape.hpp"

namespace fulgur {
namespace {

constexpr std::int64_t kMostGroups = 64;

// Experts at full rate, whose products `passes` times follow each other in a group.
double seconds(const ExchangeTimes& times, std::int64_t groups, double passes) {
  const auto G = static_cast<double>(groups);
  const auto part = [&](double whole) { return whole > 0 ? whole / G + times.alpha : 0; };
  const double a = part(times.dispatch), b = part(times.combine);
  const double g = part(times.gather), r = part(times.scatter);
  const double rows = std::max(times.rows / G, 1.0);
  const double c = passes * times.experts / G * (rows + times.half_rows) / rows;
  const double period = times.one_link ? std::max(a + b + g + r, c) : std::max({a + b, g + r, c});
  return a + g + c + r + b + (G - 1) * period;
}

}  // namespace

double exchange_seconds(const ExchangeTimes& times, std::int64_t groups) {
  return seconds(times, groups, 1);
}

std::int64_t best_token_groups(const ExchangeTimes& times, std::int64_t most) {
  const auto step = [&](std::int64_t groups) {
    return seconds(times, groups, 1) + seconds(times, groups, 2);
  };
  std::int64_t best = 1;
  for (std::int64_t groups = 2; groups <= most; groups *= 2) {
    if (step(groups) < step(best)) best = groups;
  }
  return best;
}

ExchangeTimes exchange_times(const Job& job, const Hardware& hardware, double imbalance) {
  Job at_once = job;
  at_once.experts.token_groups = 1;
  const auto s = rank_shape(at_once);
  const int devices = hardware.devices_per_node;
  const auto ep = group_shape(Group::kEp, job.layout, devices);
  const auto etp = group_shape(Group::kEtp, job.layout, devices);
  const double row = static_cast<double>(s.hidden) * s.activation_bytes;
  const auto received = static_cast<double>(s.received_rows(imbalance));
  const auto worked = static_cast<double>(s.worked_rows(imbalance));
  Hardware wires = hardware;
  wires.node.latency = wires.network.latency = 0;
  const double exchange = all_to_all_cost(ep, received * row, wires).seconds;
  const double gather = all_gather_cost(etp, worked * row, wires).seconds;
  const bool across = ep.nodes() > 1;
  const double flops = 6 * worked * static_cast<double>(s.hidden) * static_cast<double>(s.inner);
  const double rate = hardware.peak(job.train.precision) * hardware.efficiency.grouped_matmul;
  return {.dispatch = exchange,
          .combine = exchange,
          .gather = gather,
          .scatter = gather,
          .experts = flops / rate,
          .alpha = std::max(all_to_all_cost(ep, 0, hardware).seconds,
                            all_gather_cost(etp, 0, hardware).seconds),
          .rows = worked / static_cast<double>(s.local_experts),
          .half_rows = hardware.grouped_rows,
          .one_link = across == (etp.nodes() > 1)};
}

std::int64_t best_token_groups(const Job& job, const Hardware& hardware, double imbalance) {
  if (job.layout.ep * job.layout.etp == 1) return 1;
  const auto rows = rank_shape(job).rows;
  return best_token_groups(exchange_times(job, hardware, imbalance),
                           std::clamp<std::int64_t>(rows, 1, kMostGroups));
}

}  // namespace fulgur
