#include "recipes/cost/hardware.hpp"

#include <cmath>

namespace fulgur {

Cluster shared_by(const Cluster& cluster, int ranks) {
  if (cluster.hardware.device == DeviceKind::kCuda) return cluster;
  Cluster shared = cluster;
  auto& hardware = shared.hardware;
  const double ranks_per_device = static_cast<double>(ranks) / cluster.devices;
  shared.devices = ranks;
  hardware.devices_per_node =
      static_cast<int>(std::ceil(hardware.devices_per_node * ranks_per_device));
  const double cores = 1 / ranks_per_device;
  const double speed = cores > 1 ? 1 + (cores - 1) * hardware.core_scaling : cores;
  hardware.memory *= cores;
  for (double* rate : {&hardware.peak_float32, &hardware.peak_bfloat16, &hardware.memory_bandwidth,
                       &hardware.node.bandwidth, &hardware.network.bandwidth})
    *rate *= speed;
  return shared;
}

}  // namespace fulgur
