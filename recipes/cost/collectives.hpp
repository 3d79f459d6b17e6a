#pragma once

#include "recipes/cost/hardware.hpp"
#include "recipes/layout.hpp"

namespace fulgur {

// The ranks of a group as the links see them. Ranks fill nodes in their order; every node that has ranks
// of the group has `per_node` of them.
struct GroupShape {
  int size = 1;
  int per_node = 1;

  int nodes() const { return (size + per_node - 1) / per_node; }
};

// `size` ranks, each `stride` ranks behind the one before.
GroupShape group_shape(int size, int stride, int devices_per_node);

// The groups of a rank, named as in docs/math.md 2. kDense and kExpert are the ranks that hold the same
// part of a dense parameter (dp x cp) and of an expert (edp).
enum class Group { kTp, kCp, kEp, kEtp, kPp, kDense, kExpert, kWorld };
inline constexpr int kNumGroups = 8;
const char* name_of(Group group);
GroupShape group_shape(Group group, const Layout& layout, int devices_per_node);

// What one call costs a rank: alpha-beta, latency + bytes / bandwidth, on the slower of the two links.
// `node_bytes` and `network_bytes` are those that the rank sends to its own node and to others.
struct CallCost {
  double seconds = 0;
  double node_bytes = 0, network_bytes = 0;
  double calls = 1;
};

// Every rank gets the parts of all: `bytes` are all of them together. Rings as NCCL makes them, as many
// between two nodes as the group has ranks on one; each rank sends (n-1)/n of the bytes. A reduce-scatter
// is the same backwards; an all-reduce is both.
CallCost all_gather_cost(const GroupShape& group, double bytes, const Hardware& hardware);
CallCost all_reduce_cost(const GroupShape& group, double bytes, const Hardware& hardware);
// A rank has `bytes` for all ranks together, evenly, itself included; both links work at once.
CallCost all_to_all_cost(const GroupShape& group, double bytes, const Hardware& hardware);
// A message to the next rank of the group: on another node if the group has any.
CallCost send_cost(const GroupShape& group, double bytes, const Hardware& hardware);

}  // namespace fulgur
