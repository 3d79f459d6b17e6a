#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/memory.hpp"
#include "kernels/random.hpp"
#include "kernels/stream.hpp"
#include "kernels/transfer.hpp"

// Benchmarks of kernels: programs to run by hand on an idle machine, before and after a change.
// They measure the CPU, or the GPU where the environment has FULGUR_BENCH_DEVICE=cuda, at sizes
// that fill it.
namespace fulgur::test {

inline Device bench_device() {
  const char* const wanted = std::getenv("FULGUR_BENCH_DEVICE");
  return wanted != nullptr && std::string(wanted) == "cuda" ? Device::kCuda : Device::kCpu;
}

// What an H200 can do: a large copy inside its memory, float32 outside the tensor cores, and
// bfloat16 on them.
inline constexpr double kGpuBytesPerSecond = 4.3e12;
inline constexpr double kGpuFlopPerSecond = 67e12;
inline constexpr double kGpuTensorFlopPerSecond = 790e12;

struct Kernel {
  const char* name;
  void (*body)(benchmark::State&);
  std::vector<std::vector<std::int64_t>> cpu_sizes;
  std::vector<std::vector<std::int64_t>> gpu_sizes;
};

inline bool register_kernels(const std::vector<Kernel>& kernels) {
  const bool gpu = bench_device() == Device::kCuda;
  for (const auto& kernel : kernels) {
    if ((gpu ? kernel.gpu_sizes : kernel.cpu_sizes).empty()) continue;
    auto* const registered = benchmark::RegisterBenchmark(kernel.name, kernel.body);
    for (const auto& size : gpu ? kernel.gpu_sizes : kernel.cpu_sizes)
      registered->Args(size);
    registered->UseRealTime();
    if (gpu) registered->Unit(benchmark::kMicrosecond);
  }
  return true;
}

// One kernel's benchmark: a stream, tensors that live as long as it, and the rates to print. Bytes
// are those that have to move at least once; operations are multiplications and additions. On a GPU
// "of_floor" is the time that the slower of the two would take at kGpu...PerSecond, over the time
// taken.
class Bench {
 public:
  explicit Bench(benchmark::State& state) : state_(state) {}
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  ~Bench() {
    if (bytes_ > 0) add("bytes/s", bytes_);
    if (operations_ > 0) add("FLOP/s", operations_);
    if (stream.device() == Device::kCuda)
      add("of_floor", std::max(bytes_ / kGpuBytesPerSecond, operations_ / flop_per_second_));
  }

  Tensor tensor(const Shape& dims, DType dtype = DType::kFloat32) {
    auto out = Tensor::contiguous(nullptr, dtype, dims);
    out.data = buffers_.emplace_back(stream.device(), out.bytes()).data();
    return out;
  }
  // Uniform in [-1, 1), on a GPU normal.
  Tensor floats(const Shape& dims) {
    const auto out = tensor(dims);
    if (stream.device() == Device::kCpu)
      return fill<float>(out, std::uniform_real_distribution<float>(-1.0f, 1.0f));
    fill_normal({.out = out.view({out.count()}), .name = std::to_string(buffers_.size())}, stream);
    return out;
  }
  // The same in a dtype of floats.
  Tensor numbers_of(DType dtype, const Shape& dims) {
    if (dtype == DType::kFloat32) return floats(dims);
    flop_per_second_ = kGpuTensorFlopPerSecond;
    // Bits of bfloat16 between 1/4 and 1, of both signs; a million of them again and again.
    constexpr std::size_t kDifferent = std::size_t{1} << 20;
    std::mt19937 generator(static_cast<unsigned>(buffers_.size()));
    std::vector<std::uint16_t> bits(static_cast<std::size_t>(dims.count()));
    for (std::size_t i = 0; i < bits.size(); ++i) {
      const auto random = i < kDifferent ? generator() : 0;
      bits[i] = i < kDifferent
                    ? static_cast<std::uint16_t>(0x3e80 + (random & 0xff) + (random & 0x8000))
                    : bits[i - kDifferent];
    }
    return filled(tensor(dims, dtype), std::move(bits));
  }
  Tensor constants(const Shape& dims, float value) {
    return filled(tensor(dims), std::vector<float>(static_cast<std::size_t>(dims.count()), value));
  }
  // Uniform in [0, end).
  Tensor ints(const Shape& dims, std::int64_t end) {
    const auto last = static_cast<std::int32_t>(end - 1);
    return fill<std::int32_t>(tensor(dims, DType::kInt32),
                              std::uniform_int_distribution<std::int32_t>(0, last));
  }
  Tensor numbers(const Shape& dims, const std::vector<std::int32_t>& values) {
    return filled(tensor(dims, DType::kInt32), values);
  }

  // A GPU is given several calls at a time, so that the host does not hold it up.
  template <class Args>
  void run(void (*kernel)(const Args&, Stream&), const Args& args) {
    const int calls = stream.device() == Device::kCuda ? 10 : 1;
    for (int call = 0; call < calls; ++call)
      kernel(args, stream);
    stream.synchronize();
    while (state_.KeepRunningBatch(calls)) {
      for (int call = 0; call < calls; ++call)
        kernel(args, stream);
      stream.synchronize();
    }
  }
  void moves(const std::vector<Tensor>& tensors) {
    for (const auto& each : tensors)
      bytes_ += static_cast<double>(each.bytes());
  }
  void calculates(std::int64_t operations) { operations_ += static_cast<double>(operations); }

  Stream stream{bench_device()};

 private:
  template <class T, class Distribution>
  Tensor fill(const Tensor& out, Distribution distribution) {
    std::mt19937 generator(static_cast<unsigned>(buffers_.size()));
    std::vector<T> values(static_cast<std::size_t>(out.count()));
    std::generate(values.begin(), values.end(), [&] { return distribution(generator); });
    return filled(out, std::move(values));
  }
  template <class T>
  Tensor filled(const Tensor& out, std::vector<T> values) {
    upload(std::move(values), out, stream);
    stream.synchronize();
    return out;
  }
  void add(const char* name, double per_iteration) {
    state_.counters[name] =
        benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate);
  }

  benchmark::State& state_;
  std::vector<Buffer> buffers_;
  double bytes_ = 0;
  double operations_ = 0;
  double flop_per_second_ = kGpuFlopPerSecond;
};

}  // namespace fulgur::test
