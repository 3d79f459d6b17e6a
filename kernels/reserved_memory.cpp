#include "kernels/reserved_memory.hpp"

#include <algorithm>
#include <new>

#include "kernels/memory_impl.hpp"

namespace fulgur {
namespace {

// Steps of growth: few enough that what follows one is rare, small enough that little is wasted.
constexpr std::size_t kUnit = std::size_t{8} << 20;

}  // namespace

ReservedMemory::~ReservedMemory() {
  if (data_ == nullptr) return;
  device_ == Device::kCpu ? cpu::give_back(data_, reserved_)
                          : cuda::give_back(data_, reserved_, bytes_);
}

void ReservedMemory::grow(std::size_t bytes) {
  if (bytes <= bytes_) return;
  if (data_ == nullptr) {
    const auto range = device_ == Device::kCpu ? cpu::reserve() : cuda::reserve();
    data_ = static_cast<std::byte*>(range.data());
    reserved_ = range.size() / kUnit * kUnit;
  }
  if (bytes > reserved_) throw std::bad_alloc();
  const auto end = (bytes + kUnit - 1) / kUnit * kUnit;
  if (device_ == Device::kCuda) cuda::back(data_ + bytes_, end - bytes_);
  bytes_ = end;
}

}  // namespace fulgur
