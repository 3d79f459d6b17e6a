#include "kernels/token_permutation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "tests/support/finite_differences.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::Ints;
using test::random_floats;
using test::random_ints;
using test::relative_error;
using Vector = std::vector<double>;

// Assignments of T tokens to E experts, some of them dropped when lowest is -1, sorted.
struct Case {
  Case(std::int64_t T, std::int64_t k, std::int32_t E, std::int64_t C, std::int32_t lowest)
      : experts(random_ints({T, k}, 1, lowest, E - 1)),
        rows({T, k}, -9),
        slots({T * k}, -9),
        offsets({E + 1}, -9),
        x(random_floats({T, C}, 2)),
        weights(random_floats({T, k}, 3)),
        y(random_floats({T * k, C}, 4)),
        dout(random_floats({T, C}, 5)),
        out({T, C}, 9.0f),
        dy({T * k, C}, 9.0f),
        dweights({T, k}, 9.0f) {
    sort_by_expert({.experts = experts, .rows = rows, .slots = slots, .offsets = offsets}, stream);
    stream.synchronize();
  }

  void combine() {
    combine_forward({.y = y, .rows = rows, .weights = weights, .out = out}, stream);
    combine_backward({.dout = dout,
                      .y = y,
                      .rows = rows,
                      .slots = slots,
                      .weights = weights,
                      .dy = dy,
                      .dweights = dweights},
                     stream);
    stream.synchronize();
  }

  Ints experts, rows, slots, offsets;
  Floats x, weights, y, dout, out, dy, dweights;
  Stream stream{Device::kCpu};
};

const std::vector<std::tuple<int, int, int, int>> kSizes{// T, k, E, C
                                                         {0, 2, 4, 3},
                                                         {1, 1, 1, 1},
                                                         {7, 2, 3, 5},
                                                         {131, 3, 11, 37},
                                                         {1009, 2, 32, 64}};

Vector combined(const Case& c, const Vector& y, const Vector& weights) {
  const auto k = static_cast<std::size_t>(c.rows.dims()[1]);
  const auto C = static_cast<std::size_t>(c.out.dims()[1]);
  Vector out(c.out.values.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    for (std::size_t n = 0; c.rows.values[i] >= 0 && n < C; ++n)
      out[i / k * C + n] += weights[i] * y[static_cast<std::size_t>(c.rows.values[i]) * C + n];
  }
  return out;
}

}  // namespace

TEST_SUITE("kernels/token_permutation") {
  TEST_CASE("sorting equals a stable sort of the assignments without the dropped ones") {
    for (const auto& size : kSizes) {
      const auto T = std::get<0>(size), k = std::get<1>(size), E = std::get<2>(size),
                 C = std::get<3>(size);
      for (const auto lowest : {0, -1}) {
        CAPTURE(T);
        CAPTURE(lowest);
        Case c(T, k, E, C, lowest);
        const auto& experts = c.experts.values;
        std::vector<std::int32_t> order;
        for (std::size_t i = 0; i < experts.size(); ++i) {
          if (experts[i] >= 0) order.push_back(static_cast<std::int32_t>(i));
        }
        std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
          return experts[static_cast<std::size_t>(a)] < experts[static_cast<std::size_t>(b)];
        });
        std::vector<std::int32_t> rows(experts.size(), -1), offsets{0};
        for (std::size_t r = 0; r < order.size(); ++r)
          rows[static_cast<std::size_t>(order[r])] = static_cast<std::int32_t>(r);
        for (std::int32_t e = 0; e < E; ++e)
          offsets.push_back(offsets.back() + static_cast<std::int32_t>(
                                                 std::count(experts.begin(), experts.end(), e)));
        order.resize(experts.size(), -1);
        CHECK(c.slots.values == order);
        CHECK(c.rows.values == rows);
        CHECK(c.offsets.values == offsets);
      }
    }
  }

  TEST_CASE("permuting copies each token into its rows and zeros into the unused ones") {
    for (const auto& size : kSizes) {
      const auto T = std::get<0>(size), k = std::get<1>(size), E = std::get<2>(size),
                 C = std::get<3>(size);
      CAPTURE(T);
      Case c(T, k, E, C, -1);
      permute_forward({.x = c.x, .slots = c.slots, .y = c.y, .k = k}, c.stream);
      c.stream.synchronize();
      const auto width = static_cast<std::size_t>(C);
      std::vector<float> expected(c.y.values.size());
      for (std::size_t r = 0; r < c.slots.values.size(); ++r) {
        for (std::size_t n = 0; c.slots.values[r] >= 0 && n < width; ++n)
          expected[r * width + n] =
              c.x.values[static_cast<std::size_t>(c.slots.values[r] / k) * width + n];
      }
      CHECK(c.y.values == expected);
    }
  }

  TEST_CASE("permute_backward is the transpose of permute_forward") {
    for (const auto& size : kSizes) {
      const auto T = std::get<0>(size), k = std::get<1>(size), E = std::get<2>(size),
                 C = std::get<3>(size);
      CAPTURE(T);
      Case c(T, k, E, C, -1);
      Floats permuted(c.y.dims()), dx(c.x.dims(), 9.0f);
      permute_forward({.x = c.x, .slots = c.slots, .y = permuted, .k = k}, c.stream);
      permute_backward({.dy = c.y, .rows = c.rows, .dx = dx}, c.stream);
      c.stream.synchronize();
      CHECK(test::inner_product(permuted.doubles(), c.y.doubles()) ==
            doctest::Approx(test::inner_product(c.x.doubles(), dx.doubles())).epsilon(1e-5));
    }
  }

  TEST_CASE("combine equals the weighted sum in float64 at all sizes") {
    for (const auto& size : kSizes) {
      const auto T = std::get<0>(size), k = std::get<1>(size), E = std::get<2>(size),
                 C = std::get<3>(size);
      for (const auto lowest : {0, -1}) {
        CAPTURE(T);
        Case c(T, k, E, C, lowest);
        c.combine();
        CHECK(relative_error(c.out.values, combined(c, c.y.doubles(), c.weights.doubles())) <
              test::tolerance(DType::kFloat32, k));
      }
    }
  }

  TEST_CASE("permuting and combining with weights of sum 1 gives the tokens back") {
    Case c(131, 3, 7, 29, 0);
    for (std::size_t i = 0; i < c.weights.values.size(); i += 3)
      std::copy_n(std::begin({0.5f, 0.25f, 0.25f}), 3,
                  c.weights.values.begin() + static_cast<std::ptrdiff_t>(i));
    permute_forward({.x = c.x, .slots = c.slots, .y = c.y, .k = 3}, c.stream);
    c.combine();
    CHECK(relative_error(c.out.values, c.x.values) < test::tolerance(DType::kFloat32, 3));
  }

  TEST_CASE("combine's gradients equal finite differences, also with dropped assignments") {
    Case c(7, 2, 3, 5, -1);
    REQUIRE(c.slots.values.back() == -1);
    c.combine();
    auto y = c.y.doubles(), weights = c.weights.doubles();
    const auto loss = [&] {
      return test::inner_product(combined(c, y, weights), c.dout.doubles());
    };
    CHECK(relative_error(c.dy.values, test::finite_differences(y, loss)) < 1e-6);
    CHECK(relative_error(c.dweights.values, test::finite_differences(weights, loss)) < 1e-6);
  }

  TEST_CASE("an expert that does not exist is refused by the queued work") {
    for (const auto wrong : {-2, 3}) {
      Case c(4, 2, 3, 1, 0);
      c.experts.values[5] = wrong;
      sort_by_expert({.experts = c.experts, .rows = c.rows, .slots = c.slots, .offsets = c.offsets},
                     c.stream);
      const auto message =
          "sort_by_expert: experts: expected -1 or a number below 3, got " + std::to_string(wrong);
      CHECK_THROWS_WITH_AS(c.stream.synchronize(), message.c_str(), std::invalid_argument);
    }
  }

  TEST_CASE("wrong dims are refused by name") {
    Case c(4, 2, 3, 5, 0);
    CHECK_THROWS_WITH_AS(
        sort_by_expert(
            {.experts = c.experts, .rows = c.slots, .slots = c.slots, .offsets = c.offsets},
            c.stream),
        "sort_by_expert: rows: expected dims [ 4 2 ], got [ 8 ]", std::invalid_argument);
    CHECK_THROWS_WITH_AS(permute_forward({.x = c.x, .slots = c.slots, .y = c.y, .k = 3}, c.stream),
                         "permute_forward: slots: expected dims [ 12 ], got [ 8 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(permute_backward({.dy = c.x, .rows = c.rows, .dx = c.out}, c.stream),
                         "permute_backward: dy: expected dims [ 8 5 ], got [ 4 5 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(
        combine_forward({.y = c.y, .rows = c.rows, .weights = c.x, .out = c.out}, c.stream),
        "combine_forward: weights: expected dims [ 4 2 ], got [ 4 5 ]", std::invalid_argument);
    c.dy = Floats({8, 4});
    CHECK_THROWS_WITH_AS(c.combine(), "combine_backward: dy: expected dims [ 8 5 ], got [ 8 4 ]",
                         std::invalid_argument);
  }
}

}  // namespace fulgur
