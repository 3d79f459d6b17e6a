#pragma once

#include <cstddef>
#include <span>

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur::cuda {
void upload(std::span<const std::byte> values, const Tensor& to, Stream& stream);
void download(const Tensor& from, std::span<std::byte> to, Stream& stream);  // waits
void queue_download(const Tensor& from, void* to, Stream& stream);           // to pinned memory
}  // namespace fulgur::cuda
