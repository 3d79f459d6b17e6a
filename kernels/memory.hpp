#pragma once

#include <cstddef>
#include <vector>

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

// Temporary tensors of a step, handed out from blocks that are kept: after the first step nothing
// is allocated from the system.
//
// The arena is a stack in stream order: memory released (Scope) may be handed out again at once,
// which is safe as long as all its users are queued on one stream, or ordered by events. So the
// arena must live until that stream has done their work.
class Arena {
 public:
  explicit Arena(Device device, std::size_t block_bytes = std::size_t{8} << 20);

  // Uninitialised, contiguous, 256-byte aligned; valid until the enclosing Scope ends. A tensor
  // larger than a block gets a block of its own.
  Tensor allocate(const Shape& dims, DType dtype = DType::kFloat32);

  // The most bytes in use at any time so far, with what is left unused at the ends of full blocks.
  std::size_t high_water_bytes() const noexcept { return high_water_; }
  // All bytes held, in use or not.
  std::size_t capacity_bytes() const noexcept;
  Device device() const noexcept { return device_; }

  // Gives back, at its end, all that was allocated since its beginning. Scopes nest.
  class Scope {
   public:
    explicit Scope(Arena& arena)
        : arena_(arena), block_(arena.block_), used_(arena.used_), before_(arena.before_) {}
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Arena& arena_;
    std::size_t block_, used_, before_;
  };

 private:
  void open_block(std::size_t bytes);  // makes a next block of at least `bytes` the one in use

  Device device_;
  std::size_t block_bytes_;
  std::vector<Buffer> blocks_;
  std::size_t block_ = 0;   // the block in use
  std::size_t used_ = 0;    // bytes used of it
  std::size_t before_ = 0;  // bytes of the blocks before it
  std::size_t high_water_ = 0;
};

// Queue a copy or a fill. Both tensors lie on the stream's device; copy wants equal dims and dtype,
// and takes strided views. Throw std::invalid_argument when dims or dtypes differ.
void copy(const Tensor& from, const Tensor& to, Stream& stream);
void fill_zero(const Tensor& tensor, Stream& stream);

}  // namespace fulgur
