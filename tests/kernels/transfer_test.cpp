#include "kernels/transfer.hpp"

#include <doctest/doctest.h>

#include <future>
#include <stdexcept>

#include "kernels/memory.hpp"
#include "kernels/readback.hpp"
#include "tests/support/host_tensor.hpp"

namespace fulgur {

TEST_SUITE("kernels/transfer") {
  TEST_CASE("what is uploaded is there for the work behind it and is downloaded again") {
    Stream stream(Device::kCpu);
    for (const std::int64_t n : {0, 1, 77}) {
      const auto values = test::random_ints({n}, 1, -1000, 1000).values;
      test::Ints tensor({n}, -9);
      std::vector<std::int32_t> seen;
      upload(values, tensor, stream);
      stream.run([&] { seen = tensor.values; });
      CHECK(download<std::int32_t>(tensor, stream) == values);
      CHECK(seen == values);
    }
  }

  TEST_CASE("a readback has the values that the tensor had when its turn came") {
    Stream stream(Device::kCpu);
    Readback readback(Device::kCpu);
    for (const std::int64_t n : {0, 77, 1, 300}) {
      test::Ints tensor({n}, -9);
      const auto values = test::random_ints({n}, 1, -1000, 1000).values;
      upload(values, tensor, stream);
      readback.queue(tensor, stream);
      fill_zero(tensor, stream);
      const auto seen = readback.values<std::int32_t>();
      CHECK(std::vector(seen.begin(), seen.end()) == values);
      stream.synchronize();
    }
  }

  TEST_CASE("queueing a readback waits for nothing, and its end for the copy") {
    Stream stream(Device::kCpu);
    test::Ints tensor({2, 2}, 5);
    std::promise<void> go;
    bool copied = false;
    stream.run([&] { go.get_future().wait(); });
    {
      Readback readback(Device::kCpu);
      readback.queue(tensor, stream);
      stream.run([&] { copied = true; });
      CHECK_FALSE(copied);
      go.set_value();
      CHECK_THROWS_AS(readback.values<float>(), std::invalid_argument);
    }
    stream.synchronize();
    CHECK(copied);
    CHECK_THROWS_WITH_AS(Readback(Device::kCpu).queue(tensor.tensor().slice(1, 0, 1), stream),
                         doctest::Contains("readback: from"), std::invalid_argument);
  }

  TEST_CASE("another dtype, count or layout is refused by name") {
    Stream stream(Device::kCpu);
    test::Ints tensor({2, 3});
    CHECK_THROWS_WITH_AS(upload(std::vector<std::int32_t>(5), tensor, stream),
                         doctest::Contains("upload: to"), std::invalid_argument);
    CHECK_THROWS_WITH_AS(upload(std::vector<float>(6), tensor, stream),
                         doctest::Contains("upload: to"), std::invalid_argument);
    CHECK_THROWS_WITH_AS(download<float>(tensor, stream), doctest::Contains("download: from"),
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(download<std::int32_t>(tensor.tensor().slice(1, 0, 2), stream),
                         doctest::Contains("download: from"), std::invalid_argument);
  }
}

}  // namespace fulgur
