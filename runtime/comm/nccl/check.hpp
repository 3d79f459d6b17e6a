#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <string>

#include "kernels/cuda_error.hpp"
#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"
#include "runtime/comm/communicator.hpp"

namespace fulgur::nccl {

// The kind of CommError that an error code of NCCL stands for.
inline CommError::Kind kind_of(ncclResult_t result) noexcept {
  return result == ncclRemoteError ? CommError::Kind::kPeerLost : CommError::Kind::kTransport;
}

// Throws CommError, "ncclAllReduce: unhandled cuda error", unless the call has succeeded or goes on
// behind our back, as calls on a communicator that does not block may.
inline void check(ncclResult_t result, const char* call) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  throw CommError(kind_of(result), std::string(call) + ": " + ncclGetErrorString(result));
}

inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // the next call shall not report this failure again
  throw CudaError(std::string(call) + ": " + cudaGetErrorString(status));
}

inline ncclDataType_t data_type(DType dtype) noexcept {
  switch (dtype) {
    case DType::kFloat32:
      return ncclFloat32;
    case DType::kBFloat16:
      return ncclBfloat16;
    case DType::kFloat64:
      return ncclFloat64;
    case DType::kInt32:
      return ncclInt32;
    case DType::kInt64:
      return ncclInt64;
    case DType::kUInt8:
      return ncclUint8;
  }
  return ncclUint8;
}

inline cudaStream_t native(const Stream& stream) {
  return static_cast<cudaStream_t>(stream.native());
}

}  // namespace fulgur::nccl
