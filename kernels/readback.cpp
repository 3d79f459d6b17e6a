#include "kernels/readback.hpp"

#include <algorithm>
#include <cstring>
#include <exception>

#include "kernels/memory_impl.hpp"
#include "kernels/transfer_impl.hpp"

namespace fulgur {

Readback::~Readback() {
  try {
    done_.synchronize();
  } catch (const std::exception&) {
    // The device has failed: it copies nothing any more.
  }
  release();
}

void Readback::release() noexcept {
  if (memory_ == nullptr) return;
  device_ == Device::kCpu ? cpu::release(memory_) : cuda::release_pinned(memory_);
  memory_ = nullptr;
}

void Readback::queue(const Tensor& from, Stream& stream) {
  expect_contiguous(from, "readback: from");
  done_.synchronize();
  const auto bytes = std::max<std::size_t>(from.bytes(), 1);
  if (bytes > bytes_) {
    release();
    bytes_ = 0;
    memory_ = device_ == Device::kCpu ? cpu::allocate(bytes) : cuda::allocate_pinned(bytes);
    bytes_ = bytes;
  }
  here_ = Tensor::contiguous(memory_, from.dtype, from.dims);
  if (device_ == Device::kCpu) {
    stream.run([from, to = memory_] {
      if (from.count() > 0) std::memcpy(to, from.data, from.bytes());
    });
  } else if (from.count() > 0) {
    cuda::queue_download(from, memory_, stream);
  }
  done_ = stream.record();
}

const Tensor& Readback::arrived() const {
  done_.synchronize();
  return here_;
}

}  // namespace fulgur
