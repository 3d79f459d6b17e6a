#include "kernels/stream.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kernels/activation.hpp"
#include "kernels/devices.hpp"
#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

constexpr std::chrono::milliseconds kWhile{50};

// A tensor of n numbers on the GPU, for a chain of kernels to work on.
struct Work {
  explicit Work(std::int64_t n)
      : buffer(Device::kCuda, static_cast<std::size_t>(n) * 4),
        x(Tensor::contiguous(buffer.data(), DType::kFloat32, {n})) {}

  void queue(Stream& stream, int times) const {
    for (int i = 0; i < times; ++i)
      scale(x, 1.0f, stream);
  }

  Buffer buffer;
  Tensor x;
};

}  // namespace

TEST_SUITE("kernels/cuda/stream") {
  TEST_CASE("host work and kernels take their turns" * doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    const Work work(1 << 24);
    std::atomic<bool> go = false;
    std::vector<int> order;
    work.queue(stream, 5);
    const Event before = stream.record();
    stream.run([&] {
      go.wait(false);
      order.push_back(1);
    });
    stream.run([&] { order.push_back(2); });
    work.queue(stream, 5);
    const Event behind = stream.record();
    before.synchronize();
    std::this_thread::sleep_for(kWhile);
    CHECK_FALSE(behind.has_passed());
    go = true;
    go.notify_all();
    stream.synchronize();
    CHECK(behind.has_passed());
    CHECK(order == std::vector{1, 2});
  }

  TEST_CASE("an event passes when the work before it is done, not earlier" *
            doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    std::atomic<bool> go = false;
    stream.run([&] { go.wait(false); });
    const Event event = stream.record();
    std::this_thread::sleep_for(kWhile);
    CHECK_FALSE(event.has_passed());
    go = true;
    go.notify_all();
    event.synchronize();
    CHECK(event.has_passed());
  }

  TEST_CASE("streams of the GPU and of the CPU wait for each other's events" *
            doctest::skip(!test::has_cuda())) {
    Stream gpu(Device::kCuda), other(Device::kCuda), cpu(Device::kCpu);
    std::atomic<bool> go = false;
    std::atomic<int> value = 0;
    cpu.run([&] {
      go.wait(false);
      value = 1;
    });
    gpu.wait(cpu.record());
    gpu.run([&] { value = value == 1 ? 2 : -1; });
    other.wait(gpu.record());
    other.run([&] { value = value == 2 ? 3 : -2; });
    cpu.wait(other.record());
    cpu.run([&] { value = value == 3 ? 4 : -3; });
    std::this_thread::sleep_for(kWhile);
    CHECK(value == 0);
    go = true;
    go.notify_all();
    cpu.synchronize();
    CHECK(value == 4);
  }

  TEST_CASE("the first exception of host work is thrown once, and host work behind it is dropped" *
            doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    bool ran = false;
    stream.run([] { throw std::runtime_error("first"); });
    stream.run([&] { ran = true; });
    stream.run([] { throw std::runtime_error("second"); });
    CHECK_THROWS_WITH_AS(stream.synchronize(), "first", std::runtime_error);
    CHECK_FALSE(ran);
    stream.run([&] { ran = true; });
    CHECK_NOTHROW(stream.synchronize());
    CHECK(ran);
  }

  TEST_CASE("a failure set from outside is thrown by synchronize, and host work is dropped" *
            doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    bool ran = false;
    stream.failure()->set(std::make_exception_ptr(std::runtime_error("outside")));
    stream.run([&] { ran = true; });
    CHECK_THROWS_WITH_AS(stream.synchronize(), "outside", std::runtime_error);
    CHECK_FALSE(ran);
    CHECK_NOTHROW(stream.synchronize());
  }

  TEST_CASE("a stream waits for its work before it goes" * doctest::skip(!test::has_cuda())) {
    bool ran = false;
    {
      Stream stream(Device::kCuda);
      stream.run([&] {
        std::this_thread::sleep_for(kWhile);
        ran = true;
      });
    }
    CHECK(ran);
  }

  TEST_CASE("a GPU that does not exist is refused") {
    CHECK_THROWS_AS(use_cuda_device(num_cuda_devices()), std::invalid_argument);
    CHECK_THROWS_AS(use_cuda_device(-1), std::invalid_argument);
  }
}

}  // namespace fulgur
