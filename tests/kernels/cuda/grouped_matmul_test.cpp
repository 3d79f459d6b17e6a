#include "kernels/grouped_matmul.hpp"

#include <doctest/doctest.h>

#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Floats;
using test::Ints;
using test::random_floats;
using test::TwinFloats;
using test::TwinInts;

struct Case {
  std::vector<std::int32_t> offsets;
  std::int64_t M, N, K;
};
const Case kCases[] = {{{0, 1}, 1, 1, 1},
                       {{0, 3, 3, 10}, 12, 5, 7},
                       {{0, 0, 0, 64, 128, 128}, 128, 64, 16},
                       {{0, 65, 66, 200, 333}, 400, 129, 67},
                       {{0, 700, 700, 701, 1500, 1501, 1501, 2048, 2048}, 2048, 96, 200}};

}  // namespace

TEST_SUITE("kernels/cuda/grouped_matmul") {
  TEST_CASE("products of uneven groups and their gradients are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& sizes : kCases) {
      const auto M = sizes.M, N = sizes.N, K = sizes.K;
      CAPTURE(M);
      CAPTURE(N);
      CAPTURE(K);
      BothDevices both;
      const auto E = static_cast<std::int64_t>(sizes.offsets.size()) - 1;
      TwinInts offsets(both, Ints({E + 1}, sizes.offsets));
      TwinFloats x(both, random_floats({M, K}, 1)), w(both, random_floats({E, N, K}, 2)),
          y(both, Floats({M, N}, 9.0f)), dy(both, random_floats({M, N}, 3)),
          dx(both, Floats({M, K}, 9.0f)), dw(both, random_floats({E, N, K}, 4));
      both.run([&](Device on, Stream& stream) {
        grouped_matmul({.x = x.on(on), .w = w.on(on), .offsets = offsets.on(on), .y = y.on(on)},
                       stream);
        grouped_matmul_input_gradient(
            {.dy = dy.on(on), .w = w.on(on), .offsets = offsets.on(on), .dx = dx.on(on)}, stream);
        grouped_matmul_weight_gradient(
            {.dy = dy.on(on), .x = x.on(on), .offsets = offsets.on(on), .dw = dw.on(on)}, stream);
      });
      CHECK(both.repeats());
      CHECK(y.error() < test::tolerance(DType::kFloat32, K));
      CHECK(dx.error() < test::tolerance(DType::kFloat32, N));
      CHECK(dw.error() < test::tolerance(DType::kFloat32, M));
    }
  }
}

}  // namespace fulgur
