#include <cuda_runtime.h>

#include "kernels/libraries.hpp"

namespace fulgur {
namespace {

// Stands for all kernels of the build: they are compiled for the same architectures.
__global__ void probe() {}

// Asking leaves an error behind that must not be reported to the next one who asks.
std::string problem_of(cudaError_t status) {
  static_cast<void>(cudaGetLastError());
  return status == cudaSuccess ? std::string() : cudaGetErrorString(status);
}

CudaGpu describe(int index) {
  CudaGpu gpu;
  cudaDeviceProp properties{};
  auto status = cudaGetDeviceProperties(&properties, index);
  gpu.name = properties.name;
  gpu.memory_bytes = properties.totalGlobalMem;
  gpu.major = properties.major;
  gpu.minor = properties.minor;
  if (status == cudaSuccess) status = cudaSetDevice(index);
  cudaFuncAttributes attributes{};
  if (status == cudaSuccess) status = cudaFuncGetAttributes(&attributes, probe);
  gpu.problem = problem_of(status);
  return gpu;
}

}  // namespace

CudaLibrary cuda_library() {
  CudaLibrary library;
  library.built_in = true;
  static_cast<void>(cudaRuntimeGetVersion(&library.runtime));
  static_cast<void>(cudaDriverGetVersion(&library.driver));
  int count = 0;
  library.problem = problem_of(cudaGetDeviceCount(&count));
  if (!library.problem.empty()) return library;
  for (int index = 0; index < count; ++index)
    library.gpus.push_back(describe(index));
  return library;
}

}  // namespace fulgur
