#include "kernels/matmul.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tests/support/host_tensor.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

constexpr auto kNo = Transpose::kNo, kYes = Transpose::kYes;

// The elements of an operand [rows, columns], or of its transpose, in rows that are 3 longer.
test::Floats storage(std::int64_t rows, std::int64_t columns, Transpose transpose, unsigned seed) {
  if (transpose == kYes) std::swap(rows, columns);
  return test::random_floats({rows, columns + 3}, seed);
}

Tensor view(test::Floats& x) {
  return x.tensor().slice(1, 0, x.dims()[1] - 3);
}

double at(const Tensor& x, std::int64_t row, std::int64_t column, Transpose transpose) {
  if (transpose == kYes) std::swap(row, column);
  return static_cast<double>(x.as<float>()[row * x.strides[0] + column]);
}

// The elements of c in row-major order, calculated in float64.
std::vector<double> oracle(const MatMul& m) {
  std::vector<double> c;
  const auto K = m.a.dims[m.transpose_a == kYes ? 0 : 1];
  for (std::int64_t i = 0; i < m.c.dims[0]; ++i)
    for (std::int64_t j = 0; j < m.c.dims[1]; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k < K; ++k)
        sum += at(m.a, i, k, m.transpose_a) * at(m.b, k, j, m.transpose_b);
      c.push_back(m.alpha * sum + m.beta * at(m.c, i, j, kNo));
    }
  return c;
}

std::vector<double> elements(const Tensor& x) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < x.dims[0]; ++i)
    for (std::int64_t j = 0; j < x.dims[1]; ++j)
      out.push_back(at(x, i, j, kNo));
  return out;
}

}  // namespace

TEST_SUITE("kernels/matmul") {
  TEST_CASE("the product equals the float64 sum for all transposes, with strided rows") {
    Stream stream(Device::kCpu);
    struct Sizes {
      std::int64_t M, N, K;
    };
    for (const auto [M, N, K] : {Sizes{1, 1, 1}, Sizes{5, 7, 3}, Sizes{64, 33, 129}})
      for (const auto transpose_a : {kNo, kYes})
        for (const auto transpose_b : {kNo, kYes})
          for (const float beta : {0.0f, 1.0f, -0.5f}) {
            CAPTURE(M);
            CAPTURE(beta);
            auto a = storage(M, K, transpose_a, 1), b = storage(K, N, transpose_b, 2),
                 c = storage(M, N, kNo, 3);
            const auto untouched = c.values[static_cast<std::size_t>(N)];
            const MatMul args{.a = view(a),
                              .b = view(b),
                              .c = view(c),
                              .transpose_a = transpose_a,
                              .transpose_b = transpose_b,
                              .alpha = 1.5f,
                              .beta = beta};
            const auto expected = oracle(args);
            matmul(args, stream);
            stream.synchronize();
            CHECK(test::relative_error(elements(args.c), expected) <
                  test::tolerance(DType::kFloat32, K));
            CHECK(c.values[static_cast<std::size_t>(N)] == untouched);
          }
  }

  TEST_CASE("with beta 0 what c held does not matter") {
    Stream stream(Device::kCpu);
    auto a = test::random_floats({4, 6}, 1), b = test::random_floats({6, 5}, 2);
    test::Floats c({4, 5}, std::numeric_limits<float>::quiet_NaN()), zero({4, 5});
    matmul({.a = a, .b = b, .c = c}, stream);
    matmul({.a = a, .b = b, .c = zero}, stream);
    stream.synchronize();
    CHECK(c.values == zero.values);
  }

  TEST_CASE("an empty inner dim leaves beta c") {
    Stream stream(Device::kCpu);
    test::Floats a({3, 0}), b({0, 2}), c({3, 2}, 4.0f), d({3, 2}, 4.0f);
    matmul({.a = a, .b = b, .c = c, .beta = 0.5f}, stream);
    matmul({.a = a, .b = b, .c = d}, stream);
    stream.synchronize();
    CHECK(c.values == std::vector<float>(6, 2.0f));
    CHECK(d.values == std::vector<float>(6, 0.0f));
  }

  TEST_CASE("an empty result is nothing to do") {
    Stream stream(Device::kCpu);
    test::Floats a({0, 4}), b({4, 2}), c({0, 2});
    CHECK_NOTHROW(matmul({.a = a, .b = b, .c = c}, stream));
    CHECK_NOTHROW(stream.synchronize());
  }

  TEST_CASE("dims, strides and dtypes that do not fit are refused by name") {
    Stream stream(Device::kCpu);
    auto a = test::random_floats({3, 4}, 1), b = test::random_floats({4, 2}, 2);
    test::Floats c({3, 2}), wrong({3, 3});
    test::Ints ints({4, 2});
    CHECK_THROWS_WITH_AS(matmul({.a = a, .b = wrong, .c = c}, stream),
                         "matmul: b: expected dims [ 4 2 ], got [ 3 3 ]", std::invalid_argument);
    CHECK_THROWS_WITH_AS(matmul({.a = a, .b = b, .c = c, .transpose_a = kYes}, stream),
                         "matmul: a: expected dims [ ? 3 ], got [ 3 4 ]", std::invalid_argument);
    CHECK_THROWS_AS(matmul({.a = a, .b = ints, .c = c}, stream), std::invalid_argument);
    auto overlapping = b.tensor();
    overlapping.strides[0] = 1;
    CHECK_THROWS_AS(matmul({.a = a, .b = overlapping, .c = c}, stream), std::invalid_argument);
    auto columns = b.tensor();
    columns.strides[1] = 2;
    CHECK_THROWS_AS(matmul({.a = a, .b = columns, .c = c}, stream), std::invalid_argument);
  }
}

}  // namespace fulgur
