#include "recipes/cost/hardware.hpp"

#include <cmath>

namespace fulgur {

Cluster shared_by(const Cluster& cluster, int ranks) {
  if (ranks <= cluster.devices) return cluster;
  Cluster shared = cluster;
  auto& hardware = shared.hardware;
  const double ranks_per_device = static_cast<double>(ranks) / cluster.devices;
  shared.devices = ranks;
  hardware.devices_per_node =
      static_cast<int>(std::ceil(hardware.devices_per_node * ranks_per_device));
  for (double* part :
       {&hardware.memory, &hardware.peak_float32, &hardware.peak_bfloat16,
        &hardware.memory_bandwidth, &hardware.node.bandwidth, &hardware.network.bandwidth})
    *part /= ranks_per_device;
  return shared;
}

}  // namespace fulgur
