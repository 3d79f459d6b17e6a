#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Copies between the host's memory and a dense tensor on the stream's device.
//
// upload queues the copy of `values` to the tensor. The values are moved in, so the caller need not
// keep them. download waits for all that is queued on the stream, then returns the elements.
//
// Throw std::invalid_argument, naming the tensor, when T is not its dtype, the counts differ, or it is
// not dense. Meant for small things: a batch, a loss, a checkpoint's piece. To a GPU up to 256 KiB go
// through pinned memory, so that upload waits for nothing while not too many are on their way.
template <class T>
void upload(std::vector<T> values, const Tensor& to, Stream& stream);
template <class T>
std::vector<T> download(const Tensor& from, Stream& stream);

// The same on bytes. `values` may go when upload_bytes returns on a GPU, and must stay until the copy is
// done on the CPU: `keep` is held until then. `to` is filled when download_bytes returns.
void upload_bytes(std::span<const std::byte> values, std::shared_ptr<const void> keep,
                  const Tensor& to, Stream& stream);
void download_bytes(const Tensor& from, std::span<std::byte> to, Stream& stream);

template <class T>
void upload(std::vector<T> values, const Tensor& to, Stream& stream) {
  expect_dtype(to, kDTypeOf<T>, "upload: to");
  const auto kept = std::make_shared<const std::vector<T>>(std::move(values));
  upload_bytes(std::as_bytes(std::span(*kept)), kept, to, stream);
}

template <class T>
std::vector<T> download(const Tensor& from, Stream& stream) {
  expect_dtype(from, kDTypeOf<T>, "download: from");
  std::vector<T> values(static_cast<std::size_t>(from.count()));
  download_bytes(from, std::as_writable_bytes(std::span(values)), stream);
  return values;
}

}  // namespace fulgur
