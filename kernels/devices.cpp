#include "kernels/devices.hpp"

#include <sys/resource.h>

#include <stdexcept>
#include <string>

#include "kernels/devices_impl.hpp"

namespace fulgur {

int num_cuda_devices() {
  return cuda::num_devices();
}

void use_cuda_device(int index) {
  const int count = cuda::num_devices();
  if (index < 0 || index >= count) {
    throw std::invalid_argument("use_cuda_device: expected a number below the " +
                                std::to_string(count) + " GPUs, got " + std::to_string(index));
  }
  cuda::use_device(index);
}

std::string cuda_device_name() {
  return cuda::device_name();
}

std::int64_t occupied_memory(Device device) {
  if (device == Device::kCuda) return cuda::occupied_memory();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;  // Linux counts in KiB
}

}  // namespace fulgur
