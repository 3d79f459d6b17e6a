#pragma once

#include <cstddef>

#include "kernels/reserved_memory.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

class Stream;

// Memory on one device, owned: zeroed when made, 256-byte aligned, freed with the buffer. A
// moved-from buffer is empty. On the CPU the zeros are written at once, so no page is first touched
// during a step.
class Buffer {
 public:
  Buffer() = default;
  // Throws std::bad_alloc, or CudaError, when there is not enough memory.
  Buffer(Device device, std::size_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  void* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }
  Device device() const noexcept { return device_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_ = Device::kCpu;
};

// Temporary tensors of a step, one behind the other in memory that grows as far as it was ever needed
// and is kept: a step that needs no more than those before it takes nothing from the system.
//
// The arena is a stack in stream order: memory released (Scope) may be handed out again at once,
// which is safe as long as all its users are queued on one stream, or ordered by events. So the
// arena must live until that stream has done their work.
class Arena {
 public:
  explicit Arena(Device device) noexcept : memory_(device) {}

  // Uninitialised, contiguous, 256-byte aligned; valid until the enclosing Scope ends. Throws
  // std::bad_alloc, or CudaError, when the device has not so much memory.
  Tensor allocate(const Shape& dims, DType dtype = DType::kFloat32);
  // With the dims and the dtype of another.
  Tensor like(const Tensor& other) { return allocate(other.dims, other.dtype); }

  // The bytes in use; and the same use again, after the same Scopes, as if the tensors were allocated that
  // once reached so far. Throws std::invalid_argument for more than there ever was, or less than there is.
  std::size_t used_bytes() const noexcept { return used_; }
  void use_again(std::size_t used);

  // The most bytes in use at any time so far.
  std::size_t high_water_bytes() const noexcept { return high_water_; }
  // All bytes held, in use or not.
  std::size_t capacity_bytes() const noexcept { return memory_.bytes(); }
  Device device() const noexcept { return memory_.device(); }

  // Gives back, at its end, all that was allocated since its beginning. Scopes nest.
  class Scope {
   public:
    explicit Scope(Arena& arena) : arena_(arena), used_(arena.used_) {}
    ~Scope() { arena_.used_ = used_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Arena& arena_;
    std::size_t used_;
  };

 private:
  ReservedMemory memory_;
  std::size_t used_ = 0;
  std::size_t high_water_ = 0;
};

// Queue a copy or a fill. Both tensors lie on the stream's device; copy wants equal dims and dtype,
// and takes strided views. Throw std::invalid_argument when dims or dtypes differ.
void copy(const Tensor& from, const Tensor& to, Stream& stream);
void fill_zero(const Tensor& tensor, Stream& stream);

}  // namespace fulgur
