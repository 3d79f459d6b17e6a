#pragma once

#include <cstddef>
#include <span>

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// A tensor's values on their way to the host: a stream copies them when their turn comes, and nobody waits
// before he reads them. On a GPU the host's memory is pinned.
//
// Meant for small things that are read once a step. One copy at a time.
class Readback {
 public:
  explicit Readback(Device device) noexcept : device_(device) {}
  ~Readback();  // waits for the copy
  Readback(const Readback&) = delete;
  Readback& operator=(const Readback&) = delete;

  // Queues the copy of a dense tensor, which may change or go when the stream has passed it. Waits for
  // the copy before, whose values are gone. Throws std::invalid_argument for a tensor that is not dense,
  // CudaError, std::bad_alloc.
  void queue(const Tensor& from, Stream& stream);

  // Waits until the stream has passed the copy; returns the elements, in order, until the next queue().
  // After a failure of the stream's work (stream.hpp) they are of no use. Throws std::invalid_argument when
  // T is not the dtype.
  template <class T>
  std::span<const T> values() const {
    const auto& here = arrived();
    return {here.as<T>(), static_cast<std::size_t>(here.count())};
  }

 private:
  const Tensor& arrived() const;
  void release() noexcept;

  Device device_;
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;  // of the memory
  Tensor here_;            // its first elements
  Event done_;
};

}  // namespace fulgur
