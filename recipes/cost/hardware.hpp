#pragma once

#include <string>

#include "recipes/job.hpp"

namespace fulgur {

// A way from one device to others: one message of n bytes takes latency + n / bandwidth.
struct Link {
  double bandwidth = 0;  // bytes a second that a device sends, while it receives as many
  double latency = 0;    // seconds that a call takes besides
};

// The part of a peak rate that large operations of a kind reach, 0 to 1.
struct Efficiencies {
  double matmul = 1;
  double grouped_matmul = 1;  // many rows per expert
  double softmax_forward = 1, softmax_backward = 1;
  double lightning_forward = 1, lightning_backward = 1;
  double memory = 1;  // of memory_bandwidth, by element-wise operations
};

// One kind of node, and how nodes are joined. All figures come from the catalogue (cluster/hardware/),
// where each has its source.
struct Hardware {
  std::string name, about;
  DeviceKind device = DeviceKind::kCpu;
  int devices_per_node = 1;

  // Of one device.
  double memory = 0;                           // bytes
  double reserved = 0;                         // of them, for drivers, code and libraries
  double peak_float32 = 0, peak_bfloat16 = 0;  // FLOP/s, dense; 0: it has no such arithmetic
  double memory_bandwidth = 0;                 // bytes a second
  double launch = 0;                           // seconds that every operation takes besides
  double core_scaling = 1;  // of kind cpu: what every further core adds to a rank's speed, 0 to 1
  double grouped_rows = 0;  // rows an expert needs for half of grouped_matmul's efficiency
  Efficiencies efficiency;

  Link node;     // to devices of the same node
  Link network;  // to devices of other nodes; no bandwidth: nodes are not joined

  // What a communicator holds on each device: for its rings, and for each peer that it talks to alone.
  double ring_buffer = 0, peer_buffer = 0;  // bytes

  // FLOP/s in the arithmetic of the activations.
  double peak(Precision precision) const {
    return precision == Precision::kBFloat16 ? peak_bfloat16 : peak_float32;
  }
};

// What a job is planned for.
struct Cluster {
  Hardware hardware;
  int devices = 1;  // at most those of a node, or whole nodes

  int nodes() const {
    return (devices + hardware.devices_per_node - 1) / hardware.devices_per_node;
  }
};

// The cluster as each of `ranks` ranks sees it. A GPU is one rank's. The cores of a processor are dealt out:
// each rank has as large a part of their memory, speed and links as the others, perhaps of several cores.
Cluster shared_by(const Cluster& cluster, int ranks);

}  // namespace fulgur
