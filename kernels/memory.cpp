#include "kernels/memory.hpp"

#include <algorithm>
#include <utility>

#include "kernels/memory_impl.hpp"

namespace fulgur {
namespace {

constexpr std::size_t kAlignment = 256;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

Buffer::Buffer(Device device, std::size_t bytes) : bytes_(bytes), device_(device) {
  if (bytes == 0) return;
  data_ = device == Device::kCpu ? cpu::allocate(bytes) : cuda::allocate(bytes);
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  device_ == Device::kCpu ? cpu::release(data_) : cuda::release(data_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      device_(other.device_) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(device_, other.device_);
  const Buffer held(std::move(other));  // what this buffer held is freed now, not with `other`
  return *this;
}

Arena::Arena(Device device, std::size_t block_bytes)
    : device_(device), block_bytes_(aligned(std::max<std::size_t>(block_bytes, 1))) {}

void Arena::open_block(std::size_t bytes) {
  if (!blocks_.empty()) {
    before_ += blocks_[block_].bytes();
    ++block_;
  }
  used_ = 0;
  // The blocks behind this one may still be read by queued work, so a small one moves back; it is
  // not freed.
  if (block_ == blocks_.size() || blocks_[block_].bytes() < bytes) {
    blocks_.emplace(blocks_.begin() + static_cast<std::ptrdiff_t>(block_), device_,
                    std::max(bytes, block_bytes_));
  }
}

Tensor Arena::allocate(const Shape& dims, DType dtype) {
  auto tensor = Tensor::contiguous(nullptr, dtype, dims);
  const auto bytes = aligned(std::max<std::size_t>(tensor.bytes(), 1));  // never a null tensor
  if (blocks_.empty() || used_ + bytes > blocks_[block_].bytes()) open_block(bytes);
  tensor.data = static_cast<std::byte*>(blocks_[block_].data()) + used_;
  used_ += bytes;
  high_water_ = std::max(high_water_, before_ + used_);
  return tensor;
}

std::size_t Arena::capacity_bytes() const noexcept {
  std::size_t sum = 0;
  for (const auto& block : blocks_)
    sum += block.bytes();
  return sum;
}

Arena::Scope::~Scope() {
  arena_.block_ = block_;
  arena_.used_ = used_;
  arena_.before_ = before_;
}

void copy(const Tensor& from, const Tensor& to, Stream& stream) {
  expect_dims(to, from.dims, "copy: to");
  expect_dtype(to, from.dtype, "copy: to");
  if (from.count() == 0) return;
  stream.device() == Device::kCpu ? cpu::copy(from, to, stream) : cuda::copy(from, to, stream);
}

void fill_zero(const Tensor& tensor, Stream& stream) {
  if (tensor.count() == 0) return;
  stream.device() == Device::kCpu ? cpu::fill_zero(tensor, stream)
                                  : cuda::fill_zero(tensor, stream);
}

}  // namespace fulgur
