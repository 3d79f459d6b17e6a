#include <doctest/doctest.h>

#include <cmath>

#include "kernels/grouped_matmul.hpp"
#include "tests/support/twin_rounded.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Floats;
using test::Ints;
using test::random_floats;
using test::TwinFloats;
using test::TwinInts;
using test::TwinRounded;

struct Case {
  std::vector<std::int32_t> offsets;
  std::int64_t M, N, K;
};
// K and N that fit tensor cores, and such that do not; groups that are empty, shorter than a tile,
// many tiles long, and not everything in a group.
const Case kCases[] = {{{0, 1}, 1, 1, 1},
                       {{0, 1}, 1, 8, 8},
                       {{0, 3, 3, 10}, 12, 5, 7},
                       {{0, 3, 3, 10}, 12, 16, 24},
                       {{0, 0, 0, 64, 128, 128}, 128, 64, 16},
                       {{0, 65, 66, 200, 333}, 400, 129, 67},
                       {{0, 65, 66, 200, 333}, 400, 136, 72},
                       {{0, 128, 384, 384, 640}, 640, 256, 128},
                       {{0, 0}, 40, 64, 64},
                       {{0, 300, 301, 700}, 701, 1032, 520},
                       {{0, 2600, 2600, 2613}, 2700, 320, 192},
                       {{0, 700, 700, 701, 1500, 1501, 1501, 2048, 2048}, 2048, 96, 200}};

}  // namespace

TEST_SUITE("kernels/cuda/grouped_matmul_bf16") {
  TEST_CASE("products of uneven groups of bfloat16 and their gradients are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& sizes : kCases) {
      const auto M = sizes.M, N = sizes.N, K = sizes.K;
      CAPTURE(M);
      CAPTURE(N);
      CAPTURE(K);
      BothDevices both;
      const auto E = static_cast<std::int64_t>(sizes.offsets.size()) - 1;
      TwinInts offsets(both, Ints({E + 1}, sizes.offsets));
      TwinRounded x(both, random_floats({M, K}, 1)), w(both, random_floats({E, N, K}, 2)),
          y(both, Floats({M, N}, 9.0f)), dy(both, random_floats({M, N}, 3)),
          dx(both, Floats({M, K}, 9.0f));
      TwinFloats dw(both, random_floats({E, N, K}, 4));
      both.run([&](Device on, Stream& stream) {
        grouped_matmul({.x = x.on(on), .w = w.on(on), .offsets = offsets.on(on), .y = y.on(on)},
                       stream);
        grouped_matmul_input_gradient(
            {.dy = dy.on(on), .w = w.on(on), .offsets = offsets.on(on), .dx = dx.on(on)}, stream);
        grouped_matmul_weight_gradient(
            {.dy = dy.on(on), .x = x.on(on), .offsets = offsets.on(on), .dw = dw.on(on)}, stream);
      });
      CHECK(both.repeats());
      CHECK(y.error() < test::rounding_bound(M * N));
      CHECK(dx.error() < test::rounding_bound(M * K));
      CHECK(dw.error() < 4 * test::tolerance(DType::kFloat32, M));
    }
  }

  // Rows of no group hold what is not a number: a product that read them would show it.
  TEST_CASE("rows of bfloat16 behind the last group are not read" *
            doctest::skip(!test::has_cuda())) {
    const std::int64_t M = 200, N = 136, K = 72, in_groups = 77;
    BothDevices both;
    TwinInts offsets(both, Ints({3}, {0, 30, in_groups}));
    auto tokens = random_floats({M, K}, 1), gradients = random_floats({M, N}, 2);
    for (auto i = in_groups * K; i < M * K; ++i)
      tokens.values[static_cast<std::size_t>(i)] = NAN;
    for (auto i = in_groups * N; i < M * N; ++i)
      gradients.values[static_cast<std::size_t>(i)] = NAN;
    TwinRounded x(both, tokens), dy(both, gradients);
    TwinFloats dw(both, random_floats({2, N, K}, 4));
    both.run([&](Device on, Stream& stream) {
      grouped_matmul_weight_gradient(
          {.dy = dy.on(on), .x = x.on(on), .offsets = offsets.on(on), .dw = dw.on(on)}, stream);
    });
    CHECK(dw.error() < 4 * test::tolerance(DType::kFloat32, M));
  }
}

}  // namespace fulgur
