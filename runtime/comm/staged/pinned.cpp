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
PFN_cuStreamWaitValue32_v11070 find_wait() {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
  check(cudaGetDriverEntryPointByVersion("cuStreamWaitValue32", &found, 11070, cudaEnableDefault,
                                         &result),
        "cudaGetDriverEntryPointByVersion");
  if (found == nullptr) throw CudaError("cuStreamWaitValue32: the driver has no such function");
  return reinterpret_cast<PFN_cuStreamWaitValue32_v11070>(found);
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

void Flag::queue_wait(std::uint32_t number, Stream& stream) const {
  static const auto wait = find_wait();
  void* address = nullptr;
  check(cudaHostGetDevicePointer(&address, memory_.get(), 0), "cudaHostGetDevicePointer");
  const auto status = wait(native(stream), reinterpret_cast<CUdeviceptr>(address), number,
                           CU_STREAM_WAIT_VALUE_GEQ);
  if (status != CUDA_SUCCESS)
    throw CudaError("cuStreamWaitValue32: error " + std::to_string(status) + " of the driver");
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

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

}  // namespace fulgur::staged
