#include "kernels/memory.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "kernels/cuda_error.hpp"
#include "kernels/readback.hpp"
#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Ints;
using test::random_floats;
using test::random_ints;
using test::TwinFloats;
using test::TwinInts;

}  // namespace

TEST_SUITE("kernels/cuda/memory") {
  TEST_CASE("a new buffer holds zeros, aligned to 256 bytes" * doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    for (const std::int64_t n : {1, 1000, 1'000'000}) {
      const Buffer buffer(Device::kCuda, static_cast<std::size_t>(n));
      CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 256 == 0);
      const auto bytes =
          download<std::uint8_t>(Tensor::contiguous(buffer.data(), DType::kUInt8, {n}), stream);
      CHECK(std::accumulate(bytes.begin(), bytes.end(), 0) == 0);
    }
  }

  TEST_CASE("more memory than there is ends in CudaError, and the next call works" *
            doctest::skip(!test::has_cuda())) {
    CHECK_THROWS_AS(Buffer(Device::kCuda, std::size_t{1} << 50), CudaError);
    CHECK_NOTHROW(Buffer(Device::kCuda, 1000));
  }

  TEST_CASE("what is uploaded is downloaded again" * doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    for (const std::int64_t n : {0, 1, 77, 300'000, 3'000'000}) {
      const auto values = random_ints({n}, 1, -1000, 1000).values;
      const Buffer buffer(Device::kCuda, static_cast<std::size_t>(n) * 4);
      const auto tensor = Tensor::contiguous(buffer.data(), DType::kInt32, {n});
      upload(values, tensor, stream);
      CHECK(download<std::int32_t>(tensor, stream) == values);
    }
  }

  TEST_CASE("uploads that follow each other do not overwrite what is on its way" *
            doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    constexpr std::int64_t kCount = 30'000, kUploads = 200;
    const Buffer buffer(Device::kCuda, kCount * kUploads * 4);
    const auto all = Tensor::contiguous(buffer.data(), DType::kInt32, {kUploads, kCount});
    for (std::int32_t i = 0; i < kUploads; ++i)
      upload(std::vector(kCount, i), all.select(0, i), stream);
    const auto values = download<std::int32_t>(all, stream);
    for (std::int64_t i = 0; i < kUploads; ++i) {
      const auto first = values.begin() + i * kCount;
      CHECK(std::count(first, first + kCount, static_cast<std::int32_t>(i)) == kCount);
    }
  }

  TEST_CASE("a readback has the values that the tensor had when it was queued" *
            doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    Readback readback(Device::kCuda);
    for (const std::int64_t n : {0, 300'000, 1, 77}) {
      const auto first = random_ints({n}, 1, -1000, 1000).values;
      const Buffer buffer(Device::kCuda, static_cast<std::size_t>(n) * 4);
      const auto tensor = Tensor::contiguous(buffer.data(), DType::kInt32, {n});
      upload(first, tensor, stream);
      readback.queue(tensor, stream);
      fill_zero(tensor, stream);
      const auto values = readback.values<std::int32_t>();
      CHECK(std::vector(values.begin(), values.end()) == first);
      stream.synchronize();
    }
  }

  TEST_CASE("copies between dense and strided tensors are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    BothDevices both;
    TwinFloats from(both, random_floats({7, 12, 5}, 1)), to(both, random_floats({7, 12, 5}, 2)),
        dense(both, random_floats({7, 3, 5}, 3)), all(both, random_floats({7, 12, 5}, 4));
    TwinInts ints(both, random_ints({9, 8}, 1, -9, 9)), zeroed(both, random_ints({9, 8}, 2, 1, 9));
    both.run([&](Device on, Stream& stream) {
      copy(from.on(on).slice(1, 2, 4), to.on(on).slice(1, 6, 4), stream);
      copy(from.on(on).slice(1, 9, 3), dense.on(on), stream);
      copy(from.on(on), all.on(on), stream);
      copy(ints.on(on).select(1, 3), zeroed.on(on).select(1, 5), stream);
      fill_zero(zeroed.on(on).slice(1, 2, 2), stream);
      fill_zero(zeroed.on(on).slice(0, 1, 1), stream);
    });
    CHECK(to.is_equal());
    CHECK(dense.is_equal());
    CHECK(all.is_equal());
    CHECK(zeroed.is_equal());
  }

  TEST_CASE("an arena hands out memory of the GPU and keeps it" *
            doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    Arena arena(Device::kCuda);
    void* first = nullptr;
    for (int step = 0; step < 3; ++step) {
      const Arena::Scope scope(arena);
      const auto small = arena.allocate({10}, DType::kInt32);
      const auto large = arena.allocate({5000}, DType::kInt32);
      upload(std::vector<std::int32_t>(10, step), small, stream);
      fill_zero(large, stream);
      CHECK(download<std::int32_t>(small, stream) == std::vector<std::int32_t>(10, step));
      if (step == 0) first = small.data;
      CHECK(small.data == first);
    }
    CHECK(arena.capacity_bytes() >= arena.high_water_bytes());
  }

  TEST_CASE("an arena on a GPU grows in place, and gives its memory back at its end" *
            doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    for (int round = 0; round < 4; ++round) {  // of 60 % of the memory
      Arena arena(Device::kCuda);
      const auto kept = arena.allocate({3}, DType::kInt32);
      upload(std::vector<std::int32_t>{1, 2, 3}, kept, stream);
      for (const std::int64_t gib : {1, 20, 40, 80}) {
        const Arena::Scope scope(arena);
        fill_zero(arena.allocate({gib << 30}, DType::kUInt8), stream);
      }
      CHECK(download<std::int32_t>(kept, stream) == std::vector<std::int32_t>{1, 2, 3});
    }
  }
}

}  // namespace fulgur
