#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/memory.hpp"
#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"
#include "kernels/transfer.hpp"
#include "tests/support/entered_gpu.hpp"

namespace fulgur::test {

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return DType::kFloat64;
  if constexpr (std::is_same_v<T, std::int32_t>) return DType::kInt32;
  if constexpr (std::is_same_v<T, std::int64_t>) return DType::kInt64;
  if constexpr (std::is_same_v<T, std::uint16_t>) return DType::kBFloat16;  // its bits
  if constexpr (std::is_same_v<T, std::uint8_t>) return DType::kUInt8;
}

// A view of all elements as a tensor of one dim.
template <class T>
Tensor as_tensor(std::vector<T>& values) {
  return Tensor::contiguous(values.data(), dtype_of<T>(),
                            Shape{static_cast<std::int64_t>(values.size())});
}

// GPU memory that goes to the next one who asks instead of being freed: freeing it would wait for
// all work of the GPU, also for that of a rank that waits for this one. `gpu` is entered_gpu().
class KeptMemory {
 public:
  static Buffer take(int gpu, std::size_t bytes) {
    auto& kept = all();
    const std::lock_guard lock(kept.mutex);
    const auto found = kept.buffers.lower_bound({gpu, bytes});
    if (found == kept.buffers.end() || found->first.first != gpu)
      return {Device::kCuda, std::bit_ceil(bytes)};
    auto buffer = std::move(found->second);
    kept.buffers.erase(found);
    return buffer;
  }
  static void give_back(int gpu, Buffer buffer) {
    auto& kept = all();
    const std::lock_guard lock(kept.mutex);
    const auto bytes = buffer.bytes();
    kept.buffers.emplace(std::pair(gpu, bytes), std::move(buffer));
  }

 private:
  struct All {
    std::mutex mutex;
    std::multimap<std::pair<int, std::size_t>, Buffer> buffers;
  };
  static All& all() {
    static auto* const only = new All;  // outlives the CUDA runtime's own end
    return *only;
  }
};

// Elements on the device of a stream.
template <class T>
class Array {
 public:
  Array(Stream& stream, std::vector<T> values)
      : stream_(stream), host_(std::move(values)), gpu_(entered_gpu()) {
    if (stream.device() == Device::kCpu) return;
    buffer_ = KeptMemory::take(gpu_, host_.size() * sizeof(T) + 1);
    upload(host_, tensor(), stream);
  }
  ~Array() {
    if (buffer_.data() != nullptr) KeptMemory::give_back(gpu_, std::move(buffer_));
  }
  Array(Stream& stream, std::int64_t count, T value = {})
      : Array(stream, std::vector<T>(static_cast<std::size_t>(count), value)) {}
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  // A view of all elements as a tensor of one dim.
  Tensor tensor() {
    void* data = stream_.device() == Device::kCpu ? host_.data() : buffer_.data();
    return Tensor::contiguous(data, dtype_of<T>(), Shape{static_cast<std::int64_t>(host_.size())});
  }
  // The elements, once the stream has been synchronized.
  std::vector<T> values() {
    return stream_.device() == Device::kCpu ? host_ : download<T>(tensor(), stream_);
  }

 private:
  Stream& stream_;
  std::vector<T> host_;
  int gpu_;
  Buffer buffer_;
};

// What rank `rank` brings: whole numbers in [0, 100], so that sums over a few ranks are exact in
// every dtype but uint8 (which is only moved).
template <class T>
std::vector<T> brought_by(int rank, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>((i * 7 + static_cast<std::size_t>(rank) * 13 + 1) % 101);
  return values;
}

// Numbers whose sum depends on the order in which they are added.
template <class T>
std::vector<T> inexact(int rank, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  const T scale = rank % 3 == 0 ? T(1e6) : rank % 3 == 1 ? T(-1e6) : T(1e-3);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = scale / static_cast<T>(i * 3 + static_cast<std::size_t>(rank) * 5 + 7);
  return values;
}

// The index of the first element in which the two differ, -1 when there is none.
template <class T>
std::int64_t first_difference(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return std::numeric_limits<std::int64_t>::max();
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(a[i] == b[i])) return static_cast<std::int64_t>(i);
  }
  return -1;
}

}  // namespace fulgur::test
