#include <cuda_runtime.h>

#include <array>
#include <cstring>
#include <exception>

#include "kernels/cuda_check.hpp"
#include "kernels/memory_impl.hpp"
#include "kernels/transfer_impl.hpp"

namespace fulgur::cuda {
namespace {

// Pinned memory through which what the host gives goes to the GPU: a copy from other memory may hold up
// its caller until the stream has come that far. Of one thread, and so of one GPU. All of it is allocated at
// once, before there is anything in flight that an allocation could wait for.
class UploadRing {
 public:
  UploadRing() : memory_(static_cast<std::byte*>(allocate_pinned(kSlots * kSlotBytes))) {}
  UploadRing(const UploadRing&) = delete;
  UploadRing& operator=(const UploadRing&) = delete;
  ~UploadRing() {
    for (auto& event : copied_) {
      try {
        event.synchronize();
      } catch (const std::exception&) {
        // The GPU has failed: it copies nothing any more.
      }
    }
    release_pinned(memory_);
  }

  // Queues the copy, so that `values` may go; or returns false, when they are too large or the next slot is
  // still in use.
  bool upload(std::span<const std::byte> values, const Tensor& to, Stream& stream) {
    if (values.size() > kSlotBytes || !copied_[next_].has_passed()) return false;
    auto* const slot = memory_ + next_ * kSlotBytes;
    std::memcpy(slot, values.data(), values.size());
    check(cudaMemcpyAsync(to.data, slot, values.size(), cudaMemcpyHostToDevice, native(stream)),
          "cudaMemcpyAsync");
    copied_[next_] = stream.record();
    next_ = (next_ + 1) % kSlots;
    return true;
  }

 private:
  static constexpr std::size_t kSlots = 64;
  static constexpr std::size_t kSlotBytes = std::size_t{256} << 10;  // 64 x 256 KiB = 16 MiB

  std::byte* const memory_;
  std::array<Event, kSlots> copied_;
  std::size_t next_ = 0;
};

}  // namespace

void* allocate_pinned(std::size_t bytes) {
  void* data = nullptr;
  check(cudaHostAlloc(&data, bytes, cudaHostAllocDefault), "cudaHostAlloc");
  return data;
}

void release_pinned(void* data) noexcept {
  static_cast<void>(cudaFreeHost(data));
}

// From pageable memory, CUDA has taken the bytes when the call returns.
void upload(std::span<const std::byte> values, const Tensor& to, Stream& stream) {
  thread_local UploadRing ring;
  if (ring.upload(values, to, stream)) return;
  check(cudaMemcpyAsync(to.data, values.data(), values.size(), cudaMemcpyHostToDevice,
                        native(stream)),
        "cudaMemcpyAsync");
}

void download(const Tensor& from, std::span<std::byte> to, Stream& stream) {
  queue_download(from, to.data(), stream);
  stream.synchronize();
}

void queue_download(const Tensor& from, void* to, Stream& stream) {
  check(cudaMemcpyAsync(to, from.data, from.bytes(), cudaMemcpyDeviceToHost, native(stream)),
        "cudaMemcpyAsync");
}

}  // namespace fulgur::cuda
