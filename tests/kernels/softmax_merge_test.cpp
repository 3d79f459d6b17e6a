#include "kernels/softmax_merge.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels/softmax_attention.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/softmax_oracle.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::Ints;
using test::random_floats;
using test::relative_error;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

}  // namespace

TEST_SUITE("kernels/softmax_merge") {
  // Queries 0-9 see keys of the first part only, 10-19 of both, 20-29 of the second, 30-39 none.
  TEST_CASE("attention to two parts of the keys merges to attention to all of them") {
    const std::int64_t T = 40, S = 60, H = 4, G = 2, d = 9;
    Stream stream(Device::kCpu);
    auto q = random_floats({T, H, d}, 1, -3.0f, 3.0f), k = random_floats({S, G, d}, 2, -3.0f, 3.0f),
         v = random_floats({S, G, d}, 3);
    Ints first({1, 5}, {0, 20, 0, 25, 100}), second({1, 5}, {10, 30, 25, 60, 10});
    Floats o({T, H, d}), lse({T, H}), part_o({T, 2, H, d}), part_lse({T, H});
    const auto part = part_o.tensor().select(1, 1);  // strided
    softmax_attention_forward(
        {.q = q, .k = k, .v = v, .spans = first, .scale = 0.5f, .o = o, .lse = lse}, stream);
    softmax_attention_forward(
        {.q = q, .k = k, .v = v, .spans = second, .scale = 0.5f, .o = part, .lse = part_lse},
        stream);
    softmax_merge({.part_o = part, .part_lse = part_lse, .o = o, .lse = lse}, stream);
    stream.synchronize();

    test::SoftmaxOracle oracle;
    oracle.T = T;
    oracle.S = S;
    oracle.H = H;
    oracle.G = G;
    oracle.d = d;
    oracle.scale = 0.5;
    oracle.spans = {{0, 20, 0, 25, 100}, {10, 30, 25, 60, 10}};
    oracle.q = q.doubles();
    oracle.k = k.doubles();
    oracle.v = v.doubles();
    oracle.forward();
    CHECK(relative_error(o.values, oracle.o) < test::tolerance(DType::kFloat32, S));
    const auto seen = static_cast<std::size_t>(30 * H);
    const std::vector<float> numbers(lse.values.begin(),
                                     lse.values.begin() + static_cast<std::ptrdiff_t>(seen));
    oracle.lse.resize(seen);
    CHECK(relative_error(numbers, oracle.lse) < test::tolerance(DType::kFloat32, S));
    for (auto i = seen; i < lse.values.size(); ++i)
      CHECK(lse.values[i] == kMinusInfinity);
  }

  TEST_CASE("what is far from the other side neither overflows nor is lost") {
    Stream stream(Device::kCpu);
    Floats o({4, 1, 1}, {1, 1, 1, 1}), lse({4, 1}, {1000, -1000, kMinusInfinity, 80});
    Floats part_o({4, 1, 1}, {2, 2, 2, 2}), part_lse({4, 1}, {-1000, 1000, -2000, kMinusInfinity});
    softmax_merge({.part_o = part_o, .part_lse = part_lse, .o = o, .lse = lse}, stream);
    stream.synchronize();
    CHECK(o.values == std::vector<float>{1, 2, 2, 1});
    CHECK(lse.values == std::vector<float>{1000, 1000, -2000, 80});
  }

  TEST_CASE("a wrong dim is refused by name") {
    Stream stream(Device::kCpu);
    Floats o({4, 2, 3}), lse({4, 2}), part_o({4, 2, 3}), part_lse({4, 1});
    CHECK_THROWS_WITH_AS(
        softmax_merge({.part_o = part_o, .part_lse = part_lse, .o = o, .lse = lse}, stream),
        doctest::Contains("softmax_merge: part_lse"), std::invalid_argument);
  }
}

}  // namespace fulgur
