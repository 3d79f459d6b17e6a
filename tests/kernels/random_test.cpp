#include "kernels/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>
#include <stdexcept>
#include <string>

#include "kernels/philox.hpp"
#include "tests/support/host_tensor.hpp"

namespace fulgur {
namespace {

using test::Floats;

Floats normals(std::int64_t n, std::uint64_t seed, std::string_view name, std::int64_t first = 0,
               double std = 1.0) {
  Floats out({n});
  Stream stream(Device::kCpu);
  fill_normal({.out = out, .seed = seed, .name = name, .first = first, .std = std}, stream);
  stream.synchronize();
  return out;
}

double mean_power(const Floats& x, double mean, int power) {
  double sum = 0;
  for (const double value : x.values)
    sum += std::pow(value - mean, power);
  return sum / static_cast<double>(x.values.size());
}

}  // namespace

TEST_SUITE("kernels/random") {
  // The known answers published with the authors' Random123 library.
  TEST_CASE("philox gives the published numbers") {
    constexpr std::uint32_t kOnes = 0xffffffffu;
    CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) ==
          PhiloxCounter{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
    CHECK(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}) ==
          PhiloxCounter{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
    CHECK(philox4x32({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
                     {0xa4093822u, 0x299f31d0u}) ==
          PhiloxCounter{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
  }

  TEST_CASE("any range of a sequence has the numbers of the whole") {
    const auto whole = normals(1009, 7, "layers.0.router");
    for (const auto& size :
         {std::pair{0, 1}, {1, 1}, {3, 2}, {4, 4}, {5, 131}, {1008, 1}, {17, 0}, {2, 1007}}) {
      const auto first = size.first, n = size.second;
      CAPTURE(first);
      CAPTURE(n);
      const auto part = normals(n, 7, "layers.0.router", first);
      CHECK(std::equal(part.values.begin(), part.values.end(), whole.values.begin() + first));
    }
  }

  TEST_CASE("ranges beyond four billion elements do not repeat the first ones") {
    const auto first = normals(16, 1, "a");
    const auto later = normals(16, 1, "a", std::int64_t{1} << 34);
    CHECK(first.values != later.values);
  }

  TEST_CASE("another seed or another name is another sequence, and std is a factor") {
    const auto x = normals(64, 1, "a");
    CHECK(x.values == normals(64, 1, "a").values);
    for (const auto& other : {normals(64, 2, "a"), normals(64, 1, "b"), normals(64, 1, "")}) {
      std::size_t same = 0;
      for (std::size_t i = 0; i < 64; ++i)
        same += x.values[i] == other.values[i];
      CHECK(same < 3);
    }
    const auto scaled = normals(64, 1, "a", 0, 0.25);
    for (std::size_t i = 0; i < 64; ++i)
      CHECK(scaled.values[i] == 0.25f * x.values[i]);
  }

  TEST_CASE("mean, variance, skewness, kurtosis and tails are those of the normal distribution") {
    const auto x = normals(1 << 20, 20240521, "moments");
    const double mean = mean_power(x, 0, 1), variance = mean_power(x, mean, 2);
    CHECK(std::abs(mean) < 5.0 / 1024);                         // standard error 1 / 1024
    CHECK(std::abs(variance - 1) < 5 * std::sqrt(2.0) / 1024);  // sqrt(2 / n)
    CHECK(std::abs(mean_power(x, mean, 3)) < 5 * std::sqrt(15.0) / 1024);
    CHECK(std::abs(mean_power(x, mean, 4) - 3) < 5 * std::sqrt(96.0) / 1024);
    const auto beyond3 = std::count_if(x.values.begin(), x.values.end(),
                                       [](float value) { return std::abs(value) > 3; });
    CHECK(std::abs(static_cast<double>(beyond3) / (1 << 20) - 0.0026998) < 3e-4);
    CHECK(std::all_of(x.values.begin(), x.values.end(),
                      [](float value) { return std::isfinite(value) && std::abs(value) < 6.7f; }));
  }

  TEST_CASE("neighbours are not correlated") {
    const auto x = normals(1 << 20, 5, "neighbours");
    for (const std::size_t distance : {1u, 2u, 3u, 4u}) {
      CAPTURE(distance);
      double sum = 0;
      for (std::size_t i = distance; i < x.values.size(); ++i)
        sum += static_cast<double>(x.values[i]) * static_cast<double>(x.values[i - distance]);
      CHECK(std::abs(sum / (1 << 20)) < 5.0 / 1024);
    }
  }

  TEST_CASE("random_bits uses all 64 bits, and does not repeat") {
    std::set<std::uint64_t> seen;
    int ones = 0;
    for (std::uint64_t counter = 0; counter < 1000; ++counter) {
      const auto bits = random_bits(3, "order", counter);
      CHECK(bits == random_bits(3, "order", counter));
      seen.insert(bits);
      ones += std::popcount(bits);
    }
    CHECK(seen.size() == 1000);
    CHECK(std::abs(ones - 32000) < 5 * 127);  // standard deviation sqrt(64000 / 4)
    CHECK(random_bits(3, "order", 1) != random_bits(4, "order", 1));
    CHECK(random_bits(3, "order", 1) != random_bits(3, "other", 1));
  }

  TEST_CASE("the name may be gone when the stream gets to the work") {
    Floats out({8});
    Stream stream(Device::kCpu);
    {
      std::string name = "a name that is long enough to live on the heap";
      fill_normal({.out = out, .seed = 1, .name = name}, stream);
      name.assign(name.size(), '?');
    }
    stream.synchronize();
    CHECK(out.values == normals(8, 1, "a name that is long enough to live on the heap").values);
  }

  TEST_CASE("wrong dims and a negative first are refused by name") {
    Stream stream(Device::kCpu);
    Floats square({2, 2}), out({4});
    CHECK_THROWS_WITH_AS(fill_normal({.out = square}, stream),
                         "fill_normal: out: expected dims [ ? ], got [ 2 2 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(fill_normal({.out = out, .first = -1}, stream),
                         "fill_normal: first: expected a number from 0, got -1",
                         std::invalid_argument);
  }
}

}  // namespace fulgur
