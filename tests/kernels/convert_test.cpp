#include "kernels/convert.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/support/host_tensor.hpp"

namespace fulgur {
namespace {

using Halves = test::HostTensor<std::uint16_t>;

float widened(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace

TEST_SUITE("kernels/convert") {
  TEST_CASE("a float32 becomes the nearest bfloat16, on a tie the even one") {
    Stream stream(Device::kCpu);
    const float one_ulp = 0x1p-7f;  // of bfloat16 at 1
    test::Floats x({8}, {1.0f, 1.0f + 0.5f * one_ulp, 1.0f + 1.5f * one_ulp, 1.0f + 0.51f * one_ulp,
                         -1.0f - 0.49f * one_ulp, 0x1.fffffep127f, -0.0f,
                         std::numeric_limits<float>::quiet_NaN()});
    Halves y({8});
    convert({.x = x, .y = y}, stream);
    stream.synchronize();
    CHECK(widened(y.values[0]) == 1.0f);
    CHECK(widened(y.values[1]) == 1.0f);                   // tie, down to even
    CHECK(widened(y.values[2]) == 1.0f + 2.0f * one_ulp);  // tie, up to even
    CHECK(widened(y.values[3]) == 1.0f + one_ulp);
    CHECK(widened(y.values[4]) == -1.0f);
    CHECK(std::isinf(widened(y.values[5])));
    CHECK(y.values[6] == 0x8000);
    CHECK(std::isnan(widened(y.values[7])));
  }

  TEST_CASE("every bfloat16 comes back from float32 as it was") {
    Stream stream(Device::kCpu);
    Halves all({1 << 16}), back({1 << 16});
    for (std::size_t i = 0; i < all.values.size(); ++i)
      all.values[i] = static_cast<std::uint16_t>(i);
    test::Floats wide({1 << 16});
    convert({.x = all, .y = wide}, stream);
    convert({.x = wide, .y = back}, stream);
    stream.synchronize();
    for (std::size_t i = 0; i < all.values.size(); ++i) {
      if (std::isnan(widened(all.values[i])))
        CHECK(std::isnan(widened(back.values[i])));
      else
        CHECK(back.values[i] == all.values[i]);
    }
  }

  TEST_CASE("adding rounds the sum once") {
    Stream stream(Device::kCpu);
    const float one_ulp = 0x1p-7f;
    test::Floats x({1}, {0.75f * one_ulp});
    Halves y({1});
    y.values[0] = 0x3f80;  // 1
    convert({.x = x, .y = y, .add = true}, stream);
    stream.synchronize();
    CHECK(widened(y.values[0]) == 1.0f + one_ulp);
  }

  TEST_CASE("dims and dtypes that do not fit are refused by name") {
    Stream stream(Device::kCpu);
    test::Floats x({4}), y({5});
    test::Ints ints({4});
    CHECK_THROWS_WITH(convert({.x = x, .y = y}, stream), doctest::Contains("convert: y"));
    CHECK_THROWS_WITH(convert({.x = ints, .y = x}, stream), doctest::Contains("convert: x"));
  }
}

}  // namespace fulgur
