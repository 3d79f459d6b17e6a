#include <cuda_runtime.h>

#include <array>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/cuda_check.hpp"
#include "kernels/memory_impl.hpp"
#include "kernels/transfer_impl.hpp"

namespace fulgur::cuda {
namespace {

// Pinned memory through which what the host gives goes to the GPU: a copy from other memory may hold up
// its caller until the stream has come that far. Of one thread. All of it is allocated at once, before there
// is anything in flight that an allocation could wait for.
class UploadRing {
 public:
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

  std::byte* const memory_ = static_cast<std::byte*>(allocate_pinned(kSlots * kSlotBytes));
  std::array<Event, kSlots> copied_;
  std::size_t next_ = 0;
};

// The rings of threads that have ended, for those that begin. They are never freed: that would wait for all
// work of the GPU, also for that of another thread which waits for this one.
class IdleRings {
 public:
  std::unique_ptr<UploadRing> take() {
    const std::lock_guard lock(mutex_);
    if (rings_.empty()) return std::make_unique<UploadRing>();
    auto ring = std::move(rings_.back());
    rings_.pop_back();
    return ring;
  }
  void give_back(std::unique_ptr<UploadRing> ring) {
    const std::lock_guard lock(mutex_);
    rings_.push_back(std::move(ring));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<UploadRing>> rings_;  // guarded by mutex_
};

IdleRings& idle_rings() {
  static auto* const only = new IdleRings;  // outlives the CUDA runtime's own end
  return *only;
}

// The ring of a thread, for as long as it runs.
class LentRing {
 public:
  LentRing() : ring_(idle_rings().take()) {}
  ~LentRing() { idle_rings().give_back(std::move(ring_)); }
  LentRing(const LentRing&) = delete;
  LentRing& operator=(const LentRing&) = delete;

  UploadRing& operator*() const { return *ring_; }

 private:
  std::unique_ptr<UploadRing> ring_;
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
  thread_local const LentRing ring;
  if ((*ring).upload(values, to, stream)) return;
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
