#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <vector>

#include "kernels/memory.hpp"
#include "kernels/stream.hpp"

namespace fulgur::test {

// One kernel's benchmark: a stream, tensors that live as long as it, and the rates to print. Bytes are
// those that have to move at least once; operations are multiplications and additions.
class Bench {
 public:
  explicit Bench(benchmark::State& state) : state_(state) {}

  Tensor tensor(const Shape& dims, DType dtype = DType::kFloat32) {
    auto out = Tensor::contiguous(nullptr, dtype, dims);
    out.data = buffers_.emplace_back(Device::kCpu, out.bytes()).data();
    return out;
  }
  // Uniform in [-1, 1).
  Tensor floats(const Shape& dims) {
    return fill<float>(tensor(dims), std::uniform_real_distribution<float>(-1.0f, 1.0f));
  }
  // Uniform in [0, end).
  Tensor ints(const Shape& dims, std::int64_t end) {
    const auto last = static_cast<std::int32_t>(end - 1);
    return fill<std::int32_t>(tensor(dims, DType::kInt32),
                              std::uniform_int_distribution<std::int32_t>(0, last));
  }
  Tensor numbers(const Shape& dims, const std::vector<std::int32_t>& values) {
    const auto out = tensor(dims, DType::kInt32);
    std::copy(values.begin(), values.end(), out.as<std::int32_t>());
    return out;
  }

  template <class Args>
  void run(void (*kernel)(const Args&, Stream&), const Args& args) {
    for (auto _ : state_) {
      kernel(args, stream);
      stream.synchronize();
    }
  }
  void moves(const std::vector<Tensor>& tensors) {
    double bytes = 0;
    for (const auto& each : tensors)
      bytes += static_cast<double>(each.bytes());
    add("bytes/s", bytes);
  }
  void calculates(std::int64_t operations) { add("FLOP/s", static_cast<double>(operations)); }

  Stream stream{Device::kCpu};

 private:
  template <class T, class Distribution>
  Tensor fill(const Tensor& out, Distribution distribution) {
    std::mt19937 generator(static_cast<unsigned>(buffers_.size()));
    std::generate_n(out.as<T>(), out.count(), [&] { return distribution(generator); });
    return out;
  }
  void add(const char* name, double per_iteration) {
    state_.counters[name] =
        benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate);
  }

  benchmark::State& state_;
  std::vector<Buffer> buffers_;
};

}  // namespace fulgur::test
