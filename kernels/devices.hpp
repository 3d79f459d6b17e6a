#pragma once

#include <cstdint>
#include <string>

#include "kernels/tensor.hpp"

namespace fulgur {

// The GPUs that this process can use: 0 without a GPU or a driver, and in a build without CUDA.
int num_cuda_devices();

// Makes GPU `index` the one on which the calling thread makes streams, buffers and tensors on
// Device::kCuda; until then it is GPU 0. Each thread has its own choice. Throws std::invalid_argument
// when there is no such GPU.
void use_cuda_device(int index);

// "NVIDIA H200": the GPU that the calling thread uses. Throws CudaError.
std::string cuda_device_name();

// Bytes. Of a GPU, that which the calling thread uses: what is in use now, by all processes and the
// driver. Of the CPU: the most that this process has had resident so far. Throws CudaError.
std::int64_t occupied_memory(Device device);

}  // namespace fulgur
