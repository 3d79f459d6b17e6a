#include "kernels/grouped_matmul.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/support/finite_differences.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::Ints;
using test::random_floats;
using test::relative_error;
using Vector = std::vector<double>;

// Groups of the given sizes, with `unused` rows behind the last.
struct Case {
  Case(const std::vector<std::int32_t>& sizes, std::int64_t unused, std::int64_t N, std::int64_t K)
      : offsets({static_cast<std::int64_t>(sizes.size()) + 1}) {
    for (std::size_t g = 0; g < sizes.size(); ++g)
      offsets.values[g + 1] = offsets.values[g] + sizes[g];
    const auto E = static_cast<std::int64_t>(sizes.size()), M = offsets.values.back() + unused;
    x = random_floats({M, K}, 1);
    w = random_floats({E, N, K}, 2);
    dy = random_floats({M, N}, 3);
    y = Floats({M, N}, kUntouched);
    dx = Floats({M, K}, kUntouched);
    dw = Floats({E, N, K}, 1.0f);
  }

  void run() {
    grouped_matmul({.x = x, .w = w, .offsets = offsets, .y = y}, stream);
    grouped_matmul_input_gradient({.dy = dy, .w = w, .offsets = offsets, .dx = dx}, stream);
    grouped_matmul_weight_gradient({.dy = dy, .x = x, .offsets = offsets, .dw = dw}, stream);
    stream.synchronize();
  }

  // y in float64; rows of no group are kUntouched.
  Vector oracle(const Vector& input, const Vector& weight) const {
    const auto N = static_cast<std::size_t>(w.dims()[1]), K = static_cast<std::size_t>(w.dims()[2]);
    Vector out(static_cast<std::size_t>(y.dims().count()), kUntouched);
    for (std::size_t g = 0; g + 1 < offsets.values.size(); ++g) {
      for (auto r = static_cast<std::size_t>(offsets.values[g]);
           r < static_cast<std::size_t>(offsets.values[g + 1]); ++r) {
        for (std::size_t n = 0; n < N; ++n) {
          double sum = 0;
          for (std::size_t k = 0; k < K; ++k)
            sum += input[r * K + k] * weight[(g * N + n) * K + k];
          out[r * N + n] = sum;
        }
      }
    }
    return out;
  }

  static constexpr float kUntouched = 7.0f;
  Ints offsets;
  Floats x, w, dy, y, dx, dw;
  Stream stream{Device::kCpu};
};

}  // namespace

TEST_SUITE("kernels/grouped_matmul") {
  TEST_CASE("forward equals the products in float64, whatever the sizes of the groups") {
    for (const auto& sizes : std::vector<std::vector<std::int32_t>>{
             {0}, {1}, {0, 0, 3}, {5, 0, 1, 131}, {64, 64}, {0, 7, 0}}) {
      for (const auto& size : {std::pair{1, 1}, {7, 13}, {128, 257}}) {
        const auto N = size.first, K = size.second;
        CAPTURE(sizes.size());
        CAPTURE(N);
        Case c(sizes, 3, N, K);
        c.run();
        CHECK(relative_error(c.y.values, c.oracle(c.x.doubles(), c.w.doubles())) <
              test::tolerance(DType::kFloat32, K));
      }
    }
  }

  TEST_CASE("the gradients equal finite differences of the products") {
    Case c({3, 0, 1, 5}, 2, 5, 4);
    c.run();
    auto x = c.x.doubles(), w = c.w.doubles();
    const auto loss = [&] { return test::inner_product(c.oracle(x, w), c.dy.doubles()); };
    auto dx = test::finite_differences(x, loss), dw = test::finite_differences(w, loss);
    for (std::size_t i = 36; i < dx.size(); ++i)
      dx[i] = Case::kUntouched;
    for (auto& value : dw)
      value += 1.0;  // dw is added to
    CHECK(relative_error(c.dx.values, dx) < 1e-6);
    CHECK(relative_error(c.dw.values, dw) < 1e-6);
  }

  TEST_CASE("groups with the same weights are one product") {
    Case parts({11, 0, 30, 1}, 0, 17, 23), whole({42}, 0, 17, 23);
    for (std::size_t i = 0; i < parts.w.values.size(); ++i)
      parts.w.values[i] = whole.w.values[i % whole.w.values.size()];
    parts.run();
    whole.run();
    CHECK(relative_error(parts.y.values, whole.y.values) < 1e-6);
    CHECK(relative_error(parts.dx.values, whole.dx.values) < 1e-6);
    Vector sum(whole.dw.values.size(), -3.0);  // four groups started at 1, the whole at 1
    for (std::size_t i = 0; i < parts.dw.values.size(); ++i)
      sum[i % sum.size()] += parts.dw.values[i];
    CHECK(relative_error(sum, whole.dw.values) < 1e-6);
  }

  TEST_CASE("offsets that fall, start late or pass the end are refused by the queued work") {
    for (const auto& offsets : std::vector<std::vector<std::int32_t>>{
             {0, 4, 3, 6}, {1, 2, 3, 6}, {0, 2, 3, 7}, {0, -1, 3, 6}}) {
      Case c({2, 2, 2}, 0, 3, 3);
      c.offsets.values = offsets;
      CHECK_THROWS_WITH_AS(c.run(),
                           "grouped_matmul: offsets: expected numbers rising from 0 to at most 6",
                           std::invalid_argument);
    }
  }

  TEST_CASE("wrong dims are refused by name") {
    Case c({2, 3}, 0, 4, 6);
    CHECK_THROWS_WITH_AS(
        grouped_matmul({.x = c.dy, .w = c.w, .offsets = c.offsets, .y = c.y}, c.stream),
        "grouped_matmul: x: expected dims [ ? 6 ], got [ 5 4 ]", std::invalid_argument);
    Ints two({2});
    CHECK_THROWS_WITH_AS(
        grouped_matmul_input_gradient({.dy = c.dy, .w = c.w, .offsets = two, .dx = c.dx}, c.stream),
        "grouped_matmul_input_gradient: offsets: expected dims [ 3 ], got [ 2 ]",
        std::invalid_argument);
    CHECK_THROWS_WITH_AS(grouped_matmul_weight_gradient(
                             {.dy = c.dy, .x = c.x, .offsets = c.offsets, .dw = c.x}, c.stream),
                         "grouped_matmul_weight_gradient: dw: expected dims [ ? ? ? ], got [ 5 6 ]",
                         std::invalid_argument);
  }
}

}  // namespace fulgur
