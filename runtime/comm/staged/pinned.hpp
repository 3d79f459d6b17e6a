#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/stream.hpp"
#include "kernels/unique_handle.hpp"

namespace fulgur::staged {

// Page-locked memory, which goes back to a pool of this process that is never freed: freeing it may
// wait for the whole GPU, and so for the ranks of other groups.
struct PinnedTraits {
  using Handle = void*;
  static constexpr Handle none = nullptr;
  static void release(Handle memory) noexcept;
};

// Page-locked host memory that grows. What it was before it grew stays until the end, because
// operations that are queued may still use it; doubling keeps that below the memory in use.
class PinnedBuffer {
 public:
  // At least so many bytes; their contents are undefined when it has grown. Throws CudaError.
  std::byte* at_least(std::size_t bytes);

 private:
  std::vector<UniqueHandle<PinnedTraits>> grown_;
  std::size_t bytes_ = 0;  // of the last
};

// A number in host memory that goes up: the host raises it and streams wait for it, or the other way
// round.
class Flag {
 public:
  Flag();  // 0. Throws CudaError.

  // What the host does is no call of CUDA.
  void raise(std::uint32_t number) noexcept;
  bool is_raised(std::uint32_t number) const noexcept;  // to it, or at most 2^31 - 1 further

  // Raises the flag when the stream has passed. Throws CudaError.
  void queue_raise(std::uint32_t number, Stream& stream) const;
  // Holds later work of the stream until the flag has been raised to `number`, or at most 2^31 - 1
  // further. Throws CudaError.
  void queue_wait(std::uint32_t number, Stream& stream) const;

 private:
  UniqueHandle<PinnedTraits> memory_;
};

// Queue copies between GPU memory and page-locked memory. Throw CudaError.
void copy_to_host(const void* from, std::byte* to, std::size_t bytes, Stream& stream);
void copy_to_device(const std::byte* from, void* to, std::size_t bytes, Stream& stream);

}  // namespace fulgur::staged
