#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <source_location>
#include <string>

#include "kernels/cuda_error.hpp"
#include "kernels/stream.hpp"

// What the CUDA sources share on the host. Only they include this header.
namespace fulgur::cuda {

[[noreturn]] inline void refuse(const char* call, const std::string& reason,
                                std::source_location where) {
  throw CudaError(std::string(call) + ": " + reason + " (" + where.file_name() + ":" +
                  std::to_string(where.line()) + ")");
}

// Throws CudaError unless `status` is success.
inline void check(cudaError_t status, const char* call,
                  std::source_location where = std::source_location::current()) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // the next call shall not report this failure again
  refuse(call, cudaGetErrorString(status), where);
}
inline void check(cublasStatus_t status, const char* call,
                  std::source_location where = std::source_location::current()) {
  if (status != CUBLAS_STATUS_SUCCESS) refuse(call, cublasLtGetStatusString(status), where);
}

// Whether a kernel could be launched at all; to be called behind every launch.
inline void check_launch(const char* operation,
                         std::source_location where = std::source_location::current()) {
  check(cudaGetLastError(), operation, where);
}

// A function of the driver, found through the runtime: a program that links the driver's library would
// not start where there is none.
template <class Function>
Function driver_function(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  check(
      cudaGetDriverEntryPointByVersion(name, &function, CUDART_VERSION, cudaEnableDefault, &found),
      name);
  if (found != cudaDriverEntryPointSuccess)
    throw CudaError(std::string(name) + ": not in this driver");
  return reinterpret_cast<Function>(function);
}

inline cudaStream_t native(const Stream& stream) {
  return static_cast<cudaStream_t>(stream.native());
}

// Memory for the kernels of one operation, given back in stream order: it comes from the device's
// pool, which keeps what it has (stream_cuda.cu), so that a step which has run before takes nothing
// from the driver.
class Scratch {
 public:
  Scratch(std::size_t bytes, const Stream& stream) : stream_(native(stream)) {
    if (bytes > 0) check(cudaMallocAsync(&data_, bytes, stream_), "cudaMallocAsync");
  }
  ~Scratch() {
    if (data_ != nullptr) static_cast<void>(cudaFreeAsync(data_, stream_));
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  T* as() const noexcept {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  cudaStream_t stream_;
};

}  // namespace fulgur::cuda
