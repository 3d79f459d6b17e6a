#pragma once

#include <cstddef>

#include "kernels/tensor.hpp"

namespace fulgur {

// A range of addresses on one device, as long as the device's memory, of which the beginning is backed
// by memory: so it grows in place. Addresses cost nothing.
class ReservedMemory {
 public:
  // Reserves nothing before the first grow().
  explicit ReservedMemory(Device device) noexcept : device_(device) {}
  ~ReservedMemory();
  ReservedMemory(const ReservedMemory&) = delete;
  ReservedMemory& operator=(const ReservedMemory&) = delete;

  // Makes data() .. data() + bytes usable, with any content. Throws std::bad_alloc, or CudaError, when
  // there is not so much memory. On a GPU it waits for nothing that is queued there.
  void grow(std::size_t bytes);

  std::byte* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }  // usable
  Device device() const noexcept { return device_; }

 private:
  Device device_;
  std::byte* data_ = nullptr;
  std::size_t reserved_ = 0, bytes_ = 0;
};

}  // namespace fulgur
