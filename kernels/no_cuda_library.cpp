// Compiled instead of libraries_cuda.cu when FULGUR_WITH_CUDA is off.
#include "kernels/libraries.hpp"

namespace fulgur {

CudaLibrary cuda_library() {
  return {};
}

}  // namespace fulgur
