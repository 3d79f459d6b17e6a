#pragma once

#include "recipes/cost/hardware.hpp"

namespace fulgur::test {

// Round figures, so that expected times can be worked out by hand: 100 TFLOP/s at an efficiency of 1,
// 1 TB/s of memory, 100 GB/s inside a node and 10 GB/s between nodes; nothing else takes time.
inline Hardware round_hardware() {
  Hardware hardware;
  hardware.name = "round";
  hardware.device = DeviceKind::kCuda;
  hardware.devices_per_node = 8;
  hardware.memory = 80.0 * 1024 * 1024 * 1024;
  hardware.peak_float32 = hardware.peak_bfloat16 = 100e12;
  hardware.memory_bandwidth = 1e12;
  hardware.node = {.bandwidth = 100e9, .latency = 0};
  hardware.network = {.bandwidth = 10e9, .latency = 0};
  return hardware;
}

}  // namespace fulgur::test
