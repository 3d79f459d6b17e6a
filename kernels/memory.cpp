#include "kernels/memory.hpp"

#include <algorithm>
#include <stdexcept>
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

Tensor Arena::allocate(const Shape& dims, DType dtype) {
  auto tensor = Tensor::contiguous(nullptr, dtype, dims);
  const auto end =
      used_ + aligned(std::max<std::size_t>(tensor.bytes(), 1));  // never a null tensor
  memory_.grow(end);
  tensor.data = memory_.data() + used_;
  used_ = end;
  high_water_ = std::max(high_water_, used_);
  return tensor;
}

void Arena::use_again(std::size_t used) {
  if (used < used_ || used > high_water_)
    throw std::invalid_argument("arena: it was not used so far before");
  used_ = used;
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
