#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "tests/support/devices.hpp"

namespace fulgur::test {

// A dense tensor that is bfloat16 on the GPU, and has the same numbers in float32 on the CPU.
class TwinRounded final : public TwinBase {
 public:
  TwinRounded(BothDevices& devices, const Floats& numbers)
      : bits_(numbers.dims()),
        host_(numbers.dims()),
        buffer_(Device::kCuda, bits_.tensor().bytes() + 16),
        devices_(devices) {
    for (std::size_t i = 0; i < numbers.values.size(); ++i) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &numbers.values[i], sizeof(bits));
      bits_.values[i] = static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    host_.values = floats(bits_.values);
    devices.add(*this);
    reset_gpu(devices.gpu());
  }
  Tensor on(Device device) {
    return device == Device::kCpu
               ? host_.tensor()
               : Tensor::contiguous(buffer_.data(), DType::kBFloat16, host_.dims());
  }
  const std::vector<float>& on_cpu() const { return host_.values; }
  std::vector<float> on_gpu() {
    return floats(download<std::uint16_t>(on(Device::kCuda), devices_.gpu()));
  }
  bool is_equal() { return on_gpu() == on_cpu(); }
  double error() { return relative_error(on_gpu(), on_cpu()); }

  void reset_gpu(Stream& gpu) override { upload(bits_.values, on(Device::kCuda), gpu); }
  std::vector<std::byte> gpu_bytes(Stream& gpu) override {
    std::vector<std::byte> bytes(bits_.tensor().bytes());
    download_bytes(on(Device::kCuda), bytes, gpu);
    return bytes;
  }

 private:
  static std::vector<float> floats(const std::vector<std::uint16_t>& halves) {
    std::vector<float> out(halves.size());
    for (std::size_t i = 0; i < halves.size(); ++i) {
      const auto bits = static_cast<std::uint32_t>(halves[i]) << 16;
      std::memcpy(&out[i], &bits, sizeof(bits));
    }
    return out;
  }

  HostTensor<std::uint16_t> bits_;
  Floats host_;
  Buffer buffer_;
  BothDevices& devices_;
};

// The error allowed to `count` results of an operation on twins of this kind, which calculates in float32
// with an error of `calculated`: one rounding to bfloat16 comes to it where the GPU stores that.
template <class TwinKind>
double error_bound(double calculated, std::int64_t count) {
  return std::is_same_v<TwinKind, TwinRounded> ? calculated + rounding_bound(count) : calculated;
}

}  // namespace fulgur::test
