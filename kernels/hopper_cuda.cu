#include <cuda_runtime.h>

#include <array>

#include "kernels/cuda_wgmma.cuh"

namespace fulgur::cuda::hopper {

bool is_here() {
  constexpr int kHopper = 9;
  int device = 0, major = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "cudaDeviceGetAttribute");
  return major == kHopper;
}

CUtensorMap boxes_of(const void* data, std::int64_t outer, std::int64_t rows, std::int64_t columns,
                     int lines) {
  static const auto encode =
      driver_function<decltype(&cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled");
  const auto unsigned_of = [](std::int64_t x) { return static_cast<cuuint64_t>(x); };
  const std::array dims{unsigned_of(columns), unsigned_of(rows), unsigned_of(outer)};
  const std::array strides{2 * dims[0], 2 * dims[0] * dims[1]};  // bytes, but of the first dim
  const std::array<cuuint32_t, 3> box{kLine, static_cast<cuuint32_t>(lines), 1}, steps{1, 1, 1};
  CUtensorMap map;
  const auto status = encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<void*>(data),
                             dims.data(), strides.data(), box.data(), steps.data(),
                             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS)
    throw CudaError("cuTensorMapEncodeTiled: error " + std::to_string(static_cast<int>(status)));
  return map;
}

}  // namespace fulgur::cuda::hopper
