#include <cuda.h>
#include <cuda_runtime.h>

#include "kernels/cuda_launch.cuh"
#include "kernels/memory_impl.hpp"

namespace fulgur::cuda {
namespace {

// Where an element of a strided tensor lies. [dims]
struct Layout {
  explicit Layout(const Tensor& tensor) : num_dims(tensor.dims.size()) {
    for (int i = 0; i < num_dims; ++i) {
      dims[i] = tensor.dims[i];
      strides[i] = tensor.strides[i];
    }
  }

  __device__ std::int64_t offset(std::int64_t index) const {
    std::int64_t sum = 0;
    for (int i = num_dims - 1; i >= 0; --i) {
      sum += index % dims[i] * strides[i];
      index /= dims[i];
    }
    return sum;
  }

  int num_dims;
  std::int64_t dims[Shape::kMaxDims] = {}, strides[Shape::kMaxDims] = {};
};

template <class T>
void copy_strided(const Tensor& from, const Tensor& to, Stream& stream) {
  const Layout from_layout(from), to_layout(to);
  const auto* source = static_cast<const T*>(from.data);
  auto* target = static_cast<T*>(to.data);
  for_each_element(from.count(), stream, "copy", [=] __device__(std::int64_t i) {
    target[to_layout.offset(i)] = source[from_layout.offset(i)];
  });
}

template <class T>
void zero_strided(const Tensor& tensor, Stream& stream) {
  const Layout layout(tensor);
  auto* target = static_cast<T*>(tensor.data);
  for_each_element(tensor.count(), stream, "fill_zero",
                   [=] __device__(std::int64_t i) { target[layout.offset(i)] = 0; });
}

// The driver's functions for memory at addresses of one's own choice.
struct VirtualMemory {
  decltype(&cuMemAddressReserve) reserve =
      driver_function<decltype(reserve)>("cuMemAddressReserve");
  decltype(&cuMemAddressFree) free = driver_function<decltype(free)>("cuMemAddressFree");
  decltype(&cuMemCreate) create = driver_function<decltype(create)>("cuMemCreate");
  decltype(&cuMemRelease) release = driver_function<decltype(release)>("cuMemRelease");
  decltype(&cuMemMap) map = driver_function<decltype(map)>("cuMemMap");
  decltype(&cuMemUnmap) unmap = driver_function<decltype(unmap)>("cuMemUnmap");
  decltype(&cuMemSetAccess) set_access = driver_function<decltype(set_access)>("cuMemSetAccess");
  decltype(&cuGetErrorString) error_string =
      driver_function<decltype(error_string)>("cuGetErrorString");
};
const VirtualMemory& virtual_memory() {
  static const VirtualMemory functions;
  return functions;
}

void check_driver(CUresult result, const char* call) {
  if (result == CUDA_SUCCESS) return;
  const char* text = nullptr;
  static_cast<void>(virtual_memory().error_string(result, &text));
  throw CudaError(std::string(call) + ": " + (text != nullptr ? text : "unknown error"));
}

CUmemLocation this_device() {
  CUmemLocation location{};
  location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  check(cudaGetDevice(&location.id), "cudaGetDevice");
  return location;
}

}  // namespace

std::span<std::byte> reserve() {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  constexpr std::size_t kUnit = std::size_t{64} << 20;
  total = total / kUnit * kUnit;
  CUdeviceptr data = 0;
  check_driver(virtual_memory().reserve(&data, total, 0, 0, 0), "cuMemAddressReserve");
  return {reinterpret_cast<std::byte*>(data), total};
}

void back(std::byte* begin, std::size_t bytes) {
  const auto& functions = virtual_memory();
  CUmemAllocationProp wanted{};
  wanted.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  wanted.location = this_device();
  CUmemGenericAllocationHandle memory{};
  check_driver(functions.create(&memory, bytes, &wanted, 0), "cuMemCreate");
  const auto at = reinterpret_cast<CUdeviceptr>(begin);
  const auto mapped = functions.map(at, bytes, 0, memory, 0);
  static_cast<void>(functions.release(memory));  // the mapping keeps it
  check_driver(mapped, "cuMemMap");
  CUmemAccessDesc access{};
  access.location = wanted.location;
  access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  check_driver(functions.set_access(at, bytes, &access, 1), "cuMemSetAccess");
}

// As cudaFree, not before the GPU has done all that it was given.
void give_back(std::byte* data, std::size_t reserved, std::size_t backed) noexcept {
  const auto& functions = virtual_memory();
  const auto at = reinterpret_cast<CUdeviceptr>(data);
  static_cast<void>(cudaDeviceSynchronize());
  if (backed > 0) static_cast<void>(functions.unmap(at, backed));
  static_cast<void>(functions.free(at, reserved));
}

// cudaMalloc aligns to 256 bytes. The memory is zeroed before anybody, on whatever stream, can use it.
void* allocate(std::size_t bytes) {
  void* data = nullptr;
  check(cudaMalloc(&data, bytes), "cudaMalloc");
  auto status = cudaMemset(data, 0, bytes);
  if (status == cudaSuccess) status = cudaStreamSynchronize(nullptr);
  if (status != cudaSuccess) {
    release(data);
    check(status, "cudaMemset");
  }
  return data;
}

void release(void* data) noexcept {
  static_cast<void>(cudaFree(data));
}

void copy(const Tensor& from, const Tensor& to, Stream& stream) {
  if (from.is_contiguous() && to.is_contiguous()) {
    return check(
        cudaMemcpyAsync(to.data, from.data, from.bytes(), cudaMemcpyDeviceToDevice, native(stream)),
        "cudaMemcpyAsync");
  }
  switch (size_bytes(from.dtype)) {
    case 1:
      return copy_strided<std::uint8_t>(from, to, stream);
    case 2:
      return copy_strided<std::uint16_t>(from, to, stream);
    case 4:
      return copy_strided<std::uint32_t>(from, to, stream);
    default:
      return copy_strided<std::uint64_t>(from, to, stream);
  }
}

void fill_zero(const Tensor& tensor, Stream& stream) {
  if (tensor.is_contiguous()) {
    return check(cudaMemsetAsync(tensor.data, 0, tensor.bytes(), native(stream)),
                 "cudaMemsetAsync");
  }
  switch (size_bytes(tensor.dtype)) {
    case 1:
      return zero_strided<std::uint8_t>(tensor, stream);
    case 2:
      return zero_strided<std::uint16_t>(tensor, stream);
    case 4:
      return zero_strided<std::uint32_t>(tensor, stream);
    default:
      return zero_strided<std::uint64_t>(tensor, stream);
  }
}

}  // namespace fulgur::cuda
