#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernels/devices.hpp"
#include "kernels/memory.hpp"
#include "kernels/transfer.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur::test {

// For test cases that need a GPU: `* doctest::skip(!test::has_cuda())`.
inline bool has_cuda() {
  return num_cuda_devices() > 0;
}

class BothDevices;

// A dense tensor with the same first elements on the CPU and on the GPU.
class TwinBase {
 public:
  TwinBase() = default;
  TwinBase(const TwinBase&) = delete;
  TwinBase& operator=(const TwinBase&) = delete;
  virtual ~TwinBase() = default;

  virtual void reset_gpu(Stream& gpu) = 0;
  virtual std::vector<std::byte> gpu_bytes(Stream& gpu) = 0;
};

// Runs one operation on the CPU and on the GPU.
class BothDevices {
 public:
  // body(device, stream) queues the operation with the tensors of that device. On the GPU it runs twice,
  // from the same first elements, and must leave the same bits.
  template <class Body>
  void run(const Body& body) {
    body(Device::kCpu, cpu_);
    cpu_.synchronize();
    body(Device::kCuda, gpu_);
    const auto first = gpu_bytes();
    for (auto* twin : twins_)
      twin->reset_gpu(gpu_);
    body(Device::kCuda, gpu_);
    repeats_ = gpu_bytes() == first;
  }

  bool repeats() const { return repeats_; }
  Stream& cpu() { return cpu_; }
  Stream& gpu() { return gpu_; }
  void add(TwinBase& twin) { twins_.push_back(&twin); }

 private:
  std::vector<std::vector<std::byte>> gpu_bytes() {
    std::vector<std::vector<std::byte>> all;
    for (auto* twin : twins_)
      all.push_back(twin->gpu_bytes(gpu_));
    return all;
  }

  Stream cpu_{Device::kCpu}, gpu_{Device::kCuda};
  std::vector<TwinBase*> twins_;
  bool repeats_ = false;
};

template <class T>
class Twin final : public TwinBase {
 public:
  Twin(BothDevices& devices, HostTensor<T> elements)
      : host_(std::move(elements)),
        first_(host_.values),
        buffer_(Device::kCuda, std::max<std::size_t>(host_.tensor().bytes(), 1)),
        devices_(devices) {
    devices.add(*this);
    reset_gpu(devices.gpu());
  }

  Tensor on(Device device) {
    return device == Device::kCpu ? host_.tensor()
                                  : Tensor::contiguous(buffer_.data(), kDTypeOf<T>, host_.dims());
  }
  const std::vector<T>& on_cpu() const { return host_.values; }
  std::vector<T> on_gpu() { return download<T>(on(Device::kCuda), devices_.gpu()); }

  bool is_equal() { return on_gpu() == on_cpu(); }
  double error() { return relative_error(on_gpu(), on_cpu()); }

  void reset_gpu(Stream& gpu) override { upload(first_, on(Device::kCuda), gpu); }
  std::vector<std::byte> gpu_bytes(Stream& gpu) override {
    std::vector<std::byte> bytes(host_.tensor().bytes());
    download_bytes(on(Device::kCuda), bytes, gpu);
    return bytes;
  }

 private:
  HostTensor<T> host_;
  std::vector<T> first_;
  Buffer buffer_;
  BothDevices& devices_;
};

using TwinFloats = Twin<float>;
using TwinDoubles = Twin<double>;
using TwinInts = Twin<std::int32_t>;

}  // namespace fulgur::test
