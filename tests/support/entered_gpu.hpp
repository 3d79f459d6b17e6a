#pragma once

#include "kernels/devices.hpp"
#include "kernels/tensor.hpp"

namespace fulgur::test {

// The GPU that enter() has chosen for the calling thread.
inline int& entered_gpu() {
  thread_local int gpu = 0;
  return gpu;
}

// Makes what the calling thread makes next that of the rank: the ranks take the GPUs by turns.
inline void enter(Device device, int rank) {
  if (device != Device::kCuda) return;
  entered_gpu() = rank % num_cuda_devices();
  use_cuda_device(entered_gpu());
}

}  // namespace fulgur::test
