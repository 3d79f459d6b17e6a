#include "kernels/transfer.hpp"

#include "kernels/transfer_impl.hpp"

namespace fulgur {
namespace {

void expect_bytes(const Tensor& tensor, std::size_t bytes, const char* name) {
  expect_contiguous(tensor, name);
  if (tensor.bytes() != bytes) {
    throw std::invalid_argument(std::string(name) + ": expected a tensor of " +
                                std::to_string(bytes) + " bytes, got " + to_string(tensor.dims) +
                                " of " + std::string(to_string(tensor.dtype)));
  }
}

}  // namespace

void upload_bytes(std::span<const std::byte> values, std::shared_ptr<const void> keep,
                  const Tensor& to, Stream& stream) {
  expect_bytes(to, values.size(), "upload: to");
  if (values.empty()) return;
  if (stream.device() == Device::kCuda) return cuda::upload(values, to, stream);
  stream.run(
      [values, to, keep = std::move(keep)] { std::memcpy(to.data, values.data(), values.size()); });
}

void download_bytes(const Tensor& from, std::span<std::byte> to, Stream& stream) {
  expect_bytes(from, to.size(), "download: from");
  if (stream.device() == Device::kCuda && !to.empty()) return cuda::download(from, to, stream);
  stream.synchronize();
  if (!to.empty()) std::memcpy(to.data(), from.data, to.size());
}

}  // namespace fulgur
