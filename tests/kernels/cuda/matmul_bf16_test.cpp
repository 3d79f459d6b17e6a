#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

#include "kernels/matmul.hpp"
#include "tests/support/twin_rounded.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::random_floats;
using test::TwinFloats;
using test::TwinRounded;

Shape oriented(std::int64_t rows, std::int64_t columns, Transpose transpose) {
  return transpose == Transpose::kYes ? Shape{columns, rows} : Shape{rows, columns};
}

// Rounded results, and sums of rounded numbers that are not rounded again.
struct Case {
  Case(std::int64_t M, std::int64_t N, std::int64_t K, Transpose a_transposed,
       Transpose b_transposed, std::int64_t gap_between_rows)
      : a_is(a_transposed),
        b_is(b_transposed),
        a_dims(oriented(M, K, a_is)),
        b_dims(oriented(K, N, b_is)),
        gap(gap_between_rows),
        a(both, random_floats({a_dims[0], a_dims[1] + gap}, 1)),
        b(both, random_floats({b_dims[0], b_dims[1] + gap}, 2)),
        rounded(both, random_floats({M, N + gap}, 3)),
        sums(both, random_floats({M, N + gap}, 3)) {
    both.run([&](Device on, Stream& stream) {
      MatMul args{.a = a.on(on).slice(1, gap / 2, a_dims[1]),
                  .b = b.on(on).slice(1, gap / 2, b_dims[1]),
                  .c = rounded.on(on).slice(1, gap / 2, N),
                  .transpose_a = a_is,
                  .transpose_b = b_is,
                  .alpha = 0.5f,
                  .beta = gap == 0 ? 1.0f : -0.25f};
      matmul(args, stream);
      args.c = sums.on(on).slice(1, gap / 2, N);
      matmul(args, stream);
    });
  }

  Transpose a_is, b_is;
  Shape a_dims, b_dims;
  std::int64_t gap;
  BothDevices both;
  TwinRounded a, b, rounded;
  TwinFloats sums;
};

}  // namespace

TEST_SUITE("kernels/cuda/matmul_bf16") {
  TEST_CASE(
      "products of bfloat16, also of strided rows, are those of the CPU, rounded once or not" *
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
          for (const std::int64_t gap : {0, 3, 16}) {  // numbers between the rows
            CAPTURE(M);
            CAPTURE(N);
            CAPTURE(K);
            CAPTURE(gap);
            Case c(M, N, K, a_is, b_is, gap);
            CHECK(c.both.repeats());
            const double roundings = gap == 0 ? std::sqrt(2.0) : 1.0;  // where much is added
            CHECK(c.rounded.error() < roundings * test::rounding_bound(M * N));
            CHECK(c.sums.error() < 4 * test::tolerance(DType::kFloat32, K));
          }
        }
      }
    }
  }

  TEST_CASE("with beta 0 a product of bfloat16 overwrites what is not a number" *
            doctest::skip(!test::has_cuda())) {
    for (const std::int64_t K : {0, 40}) {
      BothDevices both;
      TwinRounded a(both, random_floats({20, K}, 1)), b(both, random_floats({K, 30}, 2)),
          c(both, test::Floats({20, 30}, NAN));
      both.run([&](Device on, Stream& stream) {
        matmul({.a = a.on(on), .b = b.on(on), .c = c.on(on)}, stream);
      });
      CHECK(c.error() < test::rounding_bound(c.on(Device::kCpu).count()));
    }
  }

  TEST_CASE("bfloat16 beside float32 is refused by name" * doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    const Buffer memory(Device::kCuda, 64);
    const auto matrix = [&](DType dtype) {
      return Tensor::contiguous(memory.data(), dtype, {2, 2});
    };
    const auto wide = matrix(DType::kFloat32), narrow = matrix(DType::kBFloat16);
    CHECK_THROWS_WITH_AS(matmul({.a = narrow, .b = wide, .c = wide}, stream),
                         doctest::Contains("matmul: b"), std::invalid_argument);
    CHECK_THROWS_WITH_AS(matmul({.a = wide, .b = wide, .c = narrow}, stream),
                         doctest::Contains("matmul: c"), std::invalid_argument);
  }
}

}  // namespace fulgur
