#pragma once

#include <span>

#include "kernels/memory.hpp"
#include "kernels/stream.hpp"

namespace fulgur::cpu {
void* allocate(std::size_t bytes);  // zeroed, 256-byte aligned; bytes > 0
void release(void* data) noexcept;
std::span<std::byte> reserve();  // addresses for all memory of the device; pages come when touched
void give_back(std::byte* data, std::size_t reserved) noexcept;
void copy(const Tensor& from, const Tensor& to, Stream& stream);
void fill_zero(const Tensor& tensor, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void* allocate(std::size_t bytes);
void release(void* data) noexcept;
void* allocate_pinned(std::size_t bytes);  // of the host, for copies that nobody waits for
void release_pinned(void* data) noexcept;
std::span<std::byte> reserve();  // addresses for all memory of the device, not backed
void back(std::byte* begin, std::size_t bytes);
void give_back(std::byte* data, std::size_t reserved, std::size_t backed) noexcept;
void copy(const Tensor& from, const Tensor& to, Stream& stream);
void fill_zero(const Tensor& tensor, Stream& stream);
}  // namespace fulgur::cuda
