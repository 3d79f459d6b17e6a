#include "runtime/comm/staged/pinned.hpp"

#include <cuda.h>
#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <new>
#include <string>

#include "kernels/cuda_error.hpp"

namespace fulgur::staged {
namespace {

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // the next call shall not report this failure again
  throw CudaError(std::string(call) + ": " + cudaGetErrorString(status));
}

cudaStream_t native(const Stream& stream) {
  return static_cast<cudaStream_t>(stream.native());
}

class Pool {
 public:
  void* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto found = free_.lower_bound(bytes);
    if (found != free_.end()) {
      void* const memory = found->second;
      free_.erase(found);
      return memory;
    }
    void* memory = nullptr;
    check(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable | cudaHostAllocMapped),
          "cudaHostAlloc");
    sizes_.emplace(memory, bytes);
    return memory;
  }
  void give_back(void* memory) {
    const std::lock_guard lock(mutex_);
    free_.emplace(sizes_.at(memory), memory);
  }

 private:
  std::mutex mutex_;
  std::map<void*, std::size_t> sizes_;      // guarded by mutex_: of all memory
  std::multimap<std::size_t, void*> free_;  // guarded by mutex_
};

Pool& pool() {
  static auto* const only = new Pool;  // outlives the CUDA runtime's own end
  return *only;
}

// Of the driver's interface, which is not linked: a program must start where there is no driver.
template <class Function>
Function find_in_driver(const char* name) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
  check(cudaGetDriverEntryPointByVersion(name, &found, 11070, cudaEnableDefault, &result),
        "cudaGetDriverEntryPointByVersion");
  if (found == nullptr) throw CudaError(std::string(name) + ": the driver has no such function");
  return reinterpret_cast<Function>(found);
}

void check(CUresult status, const char* call) {
  if (status == CUDA_SUCCESS) return;
  throw CudaError(std::string(call) + ": error " + std::to_string(status) + " of the driver");
}

CUdeviceptr on_device(void* memory) {
  void* address = nullptr;
  check(cudaHostGetDevicePointer(&address, memory, 0), "cudaHostGetDevicePointer");
  return reinterpret_cast<CUdeviceptr>(address);
}

}  // namespace

void PinnedTraits::release(Handle memory) noexcept {
  try {
    pool().give_back(memory);
  } catch (const std::bad_alloc&) {
    return;  // it is lost to the pool
  }
}

std::byte* PinnedBuffer::at_least(std::size_t bytes) {
  if (bytes > bytes_ || grown_.empty()) {
    bytes_ = std::max({bytes, 2 * bytes_, std::size_t{1} << 16});
    grown_.emplace_back(pool().take(bytes_));
  }
  return static_cast<std::byte*>(grown_.back().get());
}

Flag::Flag() : memory_(pool().take(sizeof(std::uint32_t))) {
  raise(0);
}

void Flag::raise(std::uint32_t number) noexcept {
  std::atomic_ref(*static_cast<std::uint32_t*>(memory_.get())).store(number);
}

bool Flag::is_raised(std::uint32_t number) const noexcept {
  const auto now = std::atomic_ref(*static_cast<std::uint32_t*>(memory_.get())).load();
  return static_cast<std::int32_t>(now - number) >= 0;
}

void Flag::queue_raise(std::uint32_t number, Stream& stream) const {
  static const auto write = find_in_driver<PFN_cuStreamWriteValue32_v11070>("cuStreamWriteValue32");
  check(write(native(stream), on_device(memory_.get()), number, CU_STREAM_WRITE_VALUE_DEFAULT),
        "cuStreamWriteValue32");
}

void Flag::queue_wait(std::uint32_t number, Stream& stream) const {
  static const auto wait = find_in_driver<PFN_cuStreamWaitValue32_v11070>("cuStreamWaitValue32");
  check(wait(native(stream), on_device(memory_.get()), number, CU_STREAM_WAIT_VALUE_GEQ),
        "cuStreamWaitValue32");
}

void copy_to_host(const void* from, std::byte* to, std::size_t bytes, Stream& stream) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, native(stream)),
        "cudaMemcpyAsync");
}

void copy_to_device(const std::byte* from, void* to, std::size_t bytes, Stream& stream) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, native(stream)),
        "cudaMemcpyAsync");
}

}  // namespace fulgur::staged
