#pragma once

#include "kernels/devices.hpp"

namespace fulgur::cuda {
int num_devices();
void use_device(int index);
std::string device_name();
std::int64_t occupied_memory();
}  // namespace fulgur::cuda
