#pragma once

#include "kernels/devices.hpp"

namespace fulgur::cuda {
int num_devices();
void use_device(int index);
}  // namespace fulgur::cuda
