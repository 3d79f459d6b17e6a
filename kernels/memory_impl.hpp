#pragma once

#include "kernels/memory.hpp"
#include "kernels/stream.hpp"

namespace fulgur::cpu {
void* allocate(std::size_t bytes);  // zeroed, 256-byte aligned; bytes > 0
void release(void* data) noexcept;
void copy(const Tensor& from, const Tensor& to, Stream& stream);
void fill_zero(const Tensor& tensor, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void* allocate(std::size_t bytes);
void release(void* data) noexcept;
void copy(const Tensor& from, const Tensor& to, Stream& stream);
void fill_zero(const Tensor& tensor, Stream& stream);
}  // namespace fulgur::cuda
