#pragma once

#include <stdexcept>

namespace fulgur {

// A call of CUDA or one of its libraries failed: "cudaMalloc: out of memory (kernels/memory_cuda.cu:12)".
// Work on a GPU is asynchronous, so the failure of a kernel is thrown by a later call, at the latest by
// Stream::synchronize(). When a kernel has failed (an address outside its memory, or arguments on the
// device that break a contract), every later call of this process on that GPU fails too: end it.
class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace fulgur
