#include "kernels/matmul.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::random_floats;
using test::TwinFloats;

Shape oriented(std::int64_t rows, std::int64_t columns, Transpose transpose) {
  return transpose == Transpose::kYes ? Shape{columns, rows} : Shape{rows, columns};
}

}  // namespace

TEST_SUITE("kernels/cuda/matmul") {
  TEST_CASE("products in all orientations, also of strided rows, are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& sizes : {Shape{1, 1, 1},
                              {3, 5, 7},
                              {64, 64, 64},
                              {1, 129, 33},
                              {257, 1, 100},
                              {131, 77, 517},
                              {512, 384, 1024},
                              {5, 6, 0}}) {
      const auto M = sizes[0], N = sizes[1], K = sizes[2];
      for (const auto a_is : {Transpose::kNo, Transpose::kYes}) {
        for (const auto b_is : {Transpose::kNo, Transpose::kYes}) {
          for (const std::int64_t gap : {0, 3}) {  // numbers between the rows
            CAPTURE(M);
            CAPTURE(N);
            CAPTURE(K);
            CAPTURE(gap);
            BothDevices both;
            const auto a_dims = oriented(M, K, a_is), b_dims = oriented(K, N, b_is);
            TwinFloats a(both, random_floats({a_dims[0], a_dims[1] + gap}, 1)),
                b(both, random_floats({b_dims[0], b_dims[1] + gap}, 2)),
                c(both, random_floats({M, N + gap}, 3));
            both.run([&](Device on, Stream& stream) {
              matmul({.a = a.on(on).slice(1, gap / 2, a_dims[1]),
                      .b = b.on(on).slice(1, gap / 3, b_dims[1]),
                      .c = c.on(on).slice(1, gap / 2, N),
                      .transpose_a = a_is,
                      .transpose_b = b_is,
                      .alpha = 0.5f,
                      .beta = gap == 0 ? 1.0f : -0.25f},
                     stream);
            });
            CHECK(both.repeats());
            CHECK(c.error() < test::tolerance(DType::kFloat32, K));
          }
        }
      }
    }
  }

  TEST_CASE("with beta 0 the product overwrites what is not a number" *
            doctest::skip(!test::has_cuda())) {
    for (const std::int64_t K : {0, 40}) {
      BothDevices both;
      TwinFloats a(both, random_floats({20, K}, 1)), b(both, random_floats({K, 30}, 2)),
          c(both, test::Floats({20, 30}, NAN));
      both.run([&](Device on, Stream& stream) {
        matmul({.a = a.on(on), .b = b.on(on), .c = c.on(on)}, stream);
      });
      CHECK(c.error() < test::tolerance(DType::kFloat32, K));
    }
  }
}

}  // namespace fulgur
