#pragma once

namespace fulgur {

// The GPUs that this process can use: 0 without a GPU or a driver, and in a build without CUDA.
int num_cuda_devices();

// Makes GPU `index` the one on which the calling thread makes streams, buffers and tensors on
// Device::kCuda; until then it is GPU 0. Each thread has its own choice. Throws std::invalid_argument
// when there is no such GPU.
void use_cuda_device(int index);

}  // namespace fulgur
