#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace fulgur {

// A GPU that this process sees.
struct CudaGpu {
  std::string name;
  std::size_t memory_bytes = 0;
  int major = 0, minor = 0;  // compute capability
  std::string problem;       // why it runs no kernel of this build; empty: it does
};

// What this build and this machine have of CUDA.
struct CudaLibrary {
  bool built_in = false;
  int runtime = 0;      // 13000: CUDA 13.0
  int driver = 0;       // the newest CUDA that the driver serves; 0: there is no driver
  std::string problem;  // why the GPUs cannot be counted
  std::vector<CudaGpu> gpus;
};

// Opens every GPU. Does not throw for what CUDA reports.
CudaLibrary cuda_library();

// "OpenBLAS 0.3.21 ...", as the library describes itself.
std::string blas_library();

}  // namespace fulgur
