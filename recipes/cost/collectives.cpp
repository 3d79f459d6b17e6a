#include "recipes/cost/collectives.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fulgur {
namespace {

// A call goes down and up a tree of nodes, whatever its algorithm does with large messages.
double latency(const GroupShape& group, const Hardware& hardware) {
  const double hops = std::ceil(std::log2(static_cast<double>(group.nodes())));
  return hardware.node.latency + hops * hardware.network.latency;
}

// What a ring of the group moves on each of its links.
double ring_bandwidth(const GroupShape& group, const Hardware& hardware) {
  if (group.nodes() == 1) return hardware.node.bandwidth;
  const double network = group.per_node * hardware.network.bandwidth;
  return group.per_node == 1 ? network : std::min(hardware.node.bandwidth, network);
}

}  // namespace

GroupShape group_shape(int size, int stride, int devices_per_node) {
  const int on_node = std::max(1, devices_per_node / stride);
  return {.size = size, .per_node = std::min(size, on_node)};
}

const char* name_of(Group group) {
  static constexpr const char* kNames[kNumGroups] = {"tp", "cp",    "ep",      "etp",
                                                     "pp", "dense", "experts", "world"};
  return kNames[static_cast<int>(group)];
}

GroupShape group_shape(Group group, const Layout& l, int devices_per_node) {
  const int stage = l.dp * l.cp * l.tp;
  switch (group) {
    case Group::kTp:
      return group_shape(l.tp, 1, devices_per_node);
    case Group::kCp:
      return group_shape(l.cp, l.tp, devices_per_node);
    case Group::kEp:
      return group_shape(l.ep, l.etp, devices_per_node);
    case Group::kEtp:
      return group_shape(l.etp, 1, devices_per_node);
    case Group::kPp:
      return group_shape(l.pp, stage, devices_per_node);
    case Group::kDense:
      return group_shape(l.dp * l.cp, l.tp, devices_per_node);
    case Group::kExpert:
      return group_shape(edp(l), l.ep * l.etp, devices_per_node);
    case Group::kWorld:
      return group_shape(l.pp * stage, 1, devices_per_node);
  }
  throw std::invalid_argument("no such group");
}

CallCost all_gather_cost(const GroupShape& group, double bytes, const Hardware& hardware) {
  if (group.size == 1) return {};
  const double sent = bytes * (group.size - 1) / group.size;
  CallCost cost{.seconds = latency(group, hardware) + sent / ring_bandwidth(group, hardware)};
  // Of the ranks of a node, one hands each part to the next node; the others go on inside.
  cost.network_bytes = group.nodes() == 1 ? 0 : sent / group.per_node;
  cost.node_bytes = sent - cost.network_bytes;
  return cost;
}

CallCost all_reduce_cost(const GroupShape& group, double bytes, const Hardware& hardware) {
  auto cost = all_gather_cost(group, bytes, hardware);
  return {.seconds = 2 * cost.seconds,
          .node_bytes = 2 * cost.node_bytes,
          .network_bytes = 2 * cost.network_bytes};
}

CallCost all_to_all_cost(const GroupShape& group, double bytes, const Hardware& hardware) {
  if (group.size == 1) return {};
  CallCost cost{.node_bytes = bytes * (group.per_node - 1) / group.size,
                .network_bytes = bytes * (group.size - group.per_node) / group.size};
  double slower = cost.node_bytes / hardware.node.bandwidth;
  if (cost.network_bytes > 0)
    slower = std::max(slower, cost.network_bytes / hardware.network.bandwidth);
  cost.seconds = latency(group, hardware) + slower;
  return cost;
}

CallCost send_cost(const GroupShape& group, double bytes, const Hardware& hardware) {
  if (group.size == 1) return {};
  if (group.nodes() == 1) {
    return {.seconds = hardware.node.latency + bytes / hardware.node.bandwidth,
            .node_bytes = bytes};
  }
  return {.seconds = hardware.network.latency + bytes / hardware.network.bandwidth,
          .network_bytes = bytes};
}

}  // namespace fulgur
