#include "kernels/softmax_attention.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "tests/support/finite_differences.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/softmax_oracle.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::Ints;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct Sizes {
  std::int64_t T, S, H, G, d;
};

struct Case {
  Case(Sizes sizes, std::vector<std::int32_t> all_spans, unsigned seed = 1)
      : n(sizes),
        spans({static_cast<std::int64_t>(all_spans.size()) / 5, 5}, all_spans),
        scale(1.0f / std::sqrt(static_cast<float>(n.d))),
        q(test::random_floats({n.T, n.H, n.d}, seed, -2, 2)),
        k(test::random_floats({n.S, n.G, n.d}, seed + 1, -2, 2)),
        v(test::random_floats({n.S, n.G, n.d}, seed + 2)),
        dout(test::random_floats({n.T, n.H, n.d}, seed + 3)),
        o({n.T, n.H, n.d}, 9.0f),
        lse({n.T, n.H}, 9.0f),
        dq({n.T, n.H, n.d}),
        dk({n.S, n.G, n.d}),
        dv({n.S, n.G, n.d}) {}

  void run_forward(Stream& stream) {
    softmax_attention_forward(
        {.q = q, .k = k, .v = v, .spans = spans, .scale = scale, .o = o, .lse = lse}, stream);
    stream.synchronize();
  }
  // Needs o and lse.
  void run_backward(Stream& stream) {
    softmax_attention_backward({.dout = dout,
                                .q = q,
                                .k = k,
                                .v = v,
                                .o = o,
                                .lse = lse,
                                .spans = spans,
                                .scale = scale,
                                .dq = dq,
                                .dk = dk,
                                .dv = dv},
                               stream);
    stream.synchronize();
  }

  test::SoftmaxOracle oracle() const {
    test::SoftmaxOracle oracle{.T = n.T, .S = n.S, .H = n.H, .G = n.G, .d = n.d, .scale = scale};
    for (std::size_t p = 0; p < spans.values.size(); p += 5) {
      const auto* x = &spans.values[p];
      oracle.spans.push_back({x[0], x[1], x[2], x[3], x[4]});
    }
    oracle.q = q.doubles();
    oracle.k = k.doubles();
    oracle.v = v.doubles();
    oracle.dout = dout.doubles();
    return oracle;
  }

  Sizes n;
  Ints spans;
  float scale;
  Floats q, k, v, dout, o, lse, dq, dk, dv;
};

std::vector<Case> cases() {
  return {
      {{1, 1, 1, 1, 1}, {0, 1, 0, 1, 0}},
      {{130, 130, 2, 1, 16}, {0, 130, 0, 130, 0}},
      // Documents of one token, of about a tile, and none.
      {{200, 200, 6, 2, 7},
       {0, 1, 0, 1, 0, 1, 65, 1, 65, 0, 65, 65, 65, 65, 0, 65, 200, 65, 200, 0}},
      {{128, 128, 4, 4, 64}, {0, 64, 0, 64, 0, 64, 128, 64, 128, 0}},
      // Queries behind a cache, alone and in a block; more keys than the last query sees.
      {{1, 150, 2, 2, 8}, {0, 1, 0, 150, 149}},
      {{70, 150, 2, 1, 8}, {0, 70, 0, 150, 75}},
      // Only the last of the queries see keys; and queries outside all spans.
      {{150, 90, 3, 1, 8}, {0, 100, 0, 90, -70}},
      {{150, 90, 3, 3, 8}, {10, 20, 5, 90, 200, 40, 90, 3, 80, -2}},
      {{5, 5, 2, 2, 4}, {}},
  };
}

double allowed(const Case& c) {
  return test::tolerance(DType::kFloat32, 16 * c.n.d);
}

// lse where the oracle's is finite; an error where only one of them is -inf.
double lse_error(const std::vector<float>& got, const std::vector<double>& expected) {
  std::vector<double> a, b;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isinf(expected[i]) && got[i] == kMinusInfinity) continue;
    a.push_back(static_cast<double>(got[i]));
    b.push_back(expected[i]);
  }
  return test::relative_error(a, b);
}

}  // namespace

TEST_SUITE("kernels/softmax_attention") {
  TEST_CASE("outputs and log-sum-exps equal the softmax over the keys that a query sees") {
    Stream stream(Device::kCpu);
    int index = 0;
    for (auto& c : cases()) {
      CAPTURE(index++);
      auto oracle = c.oracle();
      oracle.forward();
      c.run_forward(stream);
      CHECK(test::relative_error(c.o.values, oracle.o) < allowed(c));
      CHECK(lse_error(c.lse.values, oracle.lse) < allowed(c));
    }
  }

  TEST_CASE("gradients equal the derivative of the softmax") {
    Stream stream(Device::kCpu);
    int index = 0;
    for (auto& c : cases()) {
      CAPTURE(index++);
      auto oracle = c.oracle();
      oracle.backward();
      c.run_forward(stream);
      c.run_backward(stream);
      CHECK(test::relative_error(c.dq.values, oracle.dq) < allowed(c));
      CHECK(test::relative_error(c.dk.values, oracle.dk) < allowed(c));
      CHECK(test::relative_error(c.dv.values, oracle.dv) < allowed(c));
    }
  }

  TEST_CASE("gradients equal finite differences") {
    Stream stream(Device::kCpu);
    Case c({20, 24, 4, 2, 3}, {0, 8, 0, 6, 0, 8, 20, 6, 24, 3});
    auto oracle = c.oracle();
    const auto loss = [&] { return oracle.loss(); };
    const auto dq = test::finite_differences(oracle.q, loss),
               dk = test::finite_differences(oracle.k, loss),
               dv = test::finite_differences(oracle.v, loss);
    c.run_forward(stream);
    c.run_backward(stream);
    CHECK(test::relative_error(c.dq.values, dq) < allowed(c));
    CHECK(test::relative_error(c.dk.values, dk) < allowed(c));
    CHECK(test::relative_error(c.dv.values, dv) < allowed(c));
  }

  TEST_CASE("a query that sees no key gets zeros, minus infinity and no gradient") {
    Stream stream(Device::kCpu);
    Case c({4, 3, 1, 1, 2}, {1, 4, 0, 3, -2});  // query 3 alone sees a key
    c.run_forward(stream);
    c.run_backward(stream);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(c.lse.values[i] == kMinusInfinity);
      for (std::size_t j = 0; j < 2; ++j) {
        CHECK(c.o.values[2 * i + j] == 0.0f);
        CHECK(c.dq.values[2 * i + j] == 0.0f);
      }
    }
    CHECK(std::isfinite(c.lse.values[3]));
    CHECK(c.o.values[6] == c.v.values[0]);
  }

  TEST_CASE("two parts of the keys merge to the whole, and their gradients add up") {
    Stream stream(Device::kCpu);
    for (const std::int32_t cut : {1, 64, 100}) {
      CAPTURE(cut);
      const Sizes sizes{150, 150, 4, 2, 16};
      Case whole(sizes, {0, 150, 0, 150, 0}), left(sizes, {0, 150, 0, cut, 0}),
          right(sizes, {0, 150, cut, 150, -cut});
      for (auto* c : {&whole, &left, &right})
        c->run_forward(stream);
      Floats o({150, 4, 16}), lse({150, 4});
      for (std::size_t row = 0; row < lse.values.size(); ++row) {
        const float a = left.lse.values[row], b = right.lse.values[row];
        lse.values[row] = std::max(a, b) + std::log1p(std::exp(-std::abs(a - b)));
        for (std::size_t j = 0; j < 16; ++j)
          o.values[row * 16 + j] = std::exp(a - lse.values[row]) * left.o.values[row * 16 + j] +
                                   std::exp(b - lse.values[row]) * right.o.values[row * 16 + j];
      }
      CHECK(test::relative_error(o.values, whole.o.values) < allowed(whole));
      CHECK(test::relative_error(lse.values, whole.lse.values) < allowed(whole));

      whole.run_backward(stream);
      for (auto* c : {&left, &right}) {
        c->o = o;
        c->lse = lse;
      }
      left.run_backward(stream);
      right.dq = left.dq;  // the backward adds
      right.dk = left.dk;
      right.dv = left.dv;
      right.run_backward(stream);
      CHECK(test::relative_error(right.dq.values, whole.dq.values) < allowed(whole));
      CHECK(test::relative_error(right.dk.values, whole.dk.values) < allowed(whole));
      CHECK(test::relative_error(right.dv.values, whole.dv.values) < allowed(whole));
    }
  }

  TEST_CASE("query heads of a group read the same KV head") {
    Stream stream(Device::kCpu);
    Case grouped({80, 80, 4, 2, 8}, {0, 80, 0, 80, 0}), full({80, 80, 4, 4, 8}, {0, 80, 0, 80, 0});
    for (std::size_t j = 0; j < 80; ++j)
      for (std::size_t h = 0; h < 4; ++h)
        for (std::size_t c = 0; c < 8; ++c) {
          full.k.values[(j * 4 + h) * 8 + c] = grouped.k.values[(j * 2 + h / 2) * 8 + c];
          full.v.values[(j * 4 + h) * 8 + c] = grouped.v.values[(j * 2 + h / 2) * 8 + c];
        }
    grouped.run_forward(stream);
    full.run_forward(stream);
    CHECK(grouped.o.values == full.o.values);
    CHECK(grouped.lse.values == full.lse.values);
  }

  TEST_CASE("views into one fused tensor give the same bits as dense tensors") {
    Stream stream(Device::kCpu);
    Case c({90, 90, 4, 2, 8}, {0, 30, 0, 30, 0, 30, 90, 30, 90, 0});
    c.run_forward(stream);
    c.run_backward(stream);
    Floats fused({90, 8, 8}), dfused({90, 8, 8}), o({90, 4, 8}), lse({90, 4});
    for (std::size_t t = 0; t < 90; ++t) {
      std::copy_n(&c.q.values[t * 32], 32, &fused.values[t * 64]);
      std::copy_n(&c.k.values[t * 16], 16, &fused.values[t * 64 + 32]);
      std::copy_n(&c.v.values[t * 16], 16, &fused.values[t * 64 + 48]);
    }
    const auto q = [](Floats& x) { return x.tensor().slice(1, 0, 4); };
    const auto k = [](Floats& x) { return x.tensor().slice(1, 4, 2); };
    const auto v = [](Floats& x) { return x.tensor().slice(1, 6, 2); };
    softmax_attention_forward({.q = q(fused),
                               .k = k(fused),
                               .v = v(fused),
                               .spans = c.spans,
                               .scale = c.scale,
                               .o = o,
                               .lse = lse},
                              stream);
    softmax_attention_backward({.dout = c.dout,
                                .q = q(fused),
                                .k = k(fused),
                                .v = v(fused),
                                .o = o,
                                .lse = lse,
                                .spans = c.spans,
                                .scale = c.scale,
                                .dq = q(dfused),
                                .dk = k(dfused),
                                .dv = v(dfused)},
                               stream);
    stream.synchronize();
    CHECK(o.values == c.o.values);
    for (std::size_t t = 0; t < 90; ++t) {
      REQUIRE(std::equal(&c.dq.values[t * 32], &c.dq.values[t * 32] + 32, &dfused.values[t * 64]));
      REQUIRE(
          std::equal(&c.dk.values[t * 16], &c.dk.values[t * 16] + 16, &dfused.values[t * 64 + 32]));
      REQUIRE(
          std::equal(&c.dv.values[t * 16], &c.dv.values[t * 16] + 16, &dfused.values[t * 64 + 48]));
    }
  }

  TEST_CASE("scores far from zero neither overflow nor lose the softmax") {
    Stream stream(Device::kCpu);
    Case c({100, 100, 1, 1, 4}, {0, 100, 0, 100, 0});
    c.scale = 200.0f;  // scores of about a thousand
    auto oracle = c.oracle();
    oracle.backward();
    c.run_forward(stream);
    c.run_backward(stream);
    // A score of 1000 has an error of 6e-5 in float32, which is then one of the weights.
    CHECK(test::relative_error(c.o.values, oracle.o) < 1e-3);
    CHECK(test::relative_error(c.dv.values, oracle.dv) < 1e-3);
  }

  TEST_CASE("what is not a number is handed on, not hidden") {
    Stream stream(Device::kCpu);
    Case c({3, 3, 1, 1, 2}, {0, 3, 0, 3, 0});
    c.q.values[2] = std::numeric_limits<float>::quiet_NaN();
    c.run_forward(stream);
    CHECK(std::isnan(c.o.values[2]));
    CHECK(std::isnan(c.lse.values[1]));
    CHECK(std::isfinite(c.o.values[4]));
  }

  TEST_CASE("a long sequence equals sampled rows of the softmax") {
    Stream stream(Device::kCpu);
    Case c({4096, 4096, 1, 1, 8}, {0, 4096, 0, 4096, 0});
    c.run_forward(stream);
    for (const std::int32_t row : {0, 63, 64, 2047, 4095}) {
      CAPTURE(row);
      Case one({1, 4096, 1, 1, 8}, {0, 1, 0, 4096, row});
      std::copy_n(&c.q.values[static_cast<std::size_t>(row) * 8], 8, one.q.values.begin());
      auto oracle = one.oracle();
      oracle.k = c.k.doubles();
      oracle.v = c.v.doubles();
      oracle.forward();
      const auto at = c.o.values.begin() + row * 8;
      CHECK(test::relative_error(std::vector<float>(at, at + 8), oracle.o) <
            test::tolerance(DType::kFloat32, 4096));
    }
  }

  TEST_CASE("dims and dtypes that do not fit are refused by name") {
    Stream stream(Device::kCpu);
    Case c({5, 5, 4, 2, 4}, {0, 5, 0, 5, 0});
    c.v = Floats({5, 2, 3});
    CHECK_THROWS_WITH_AS(c.run_forward(stream),
                         "softmax_attention_forward: v: expected dims [ 5 2 4 ], got [ 5 2 3 ]",
                         std::invalid_argument);
    Case heads({5, 5, 4, 3, 4}, {0, 5, 0, 5, 0});
    CHECK_THROWS_AS(heads.run_forward(stream), std::invalid_argument);
    Case lse({5, 5, 4, 2, 4}, {0, 5, 0, 5, 0});
    lse.lse = Floats({4, 5});
    CHECK_THROWS_AS(lse.run_backward(stream), std::invalid_argument);
    Case gradient({5, 5, 4, 2, 4}, {0, 5, 0, 5, 0});
    gradient.dk = Floats({5, 4, 4});
    CHECK_THROWS_AS(gradient.run_backward(stream), std::invalid_argument);
  }

  TEST_CASE("spans that lead outside are refused when the work runs") {
    Stream stream(Device::kCpu);
    for (const std::vector<std::int32_t>& span : {std::vector<std::int32_t>{0, 6, 0, 5, 0},
                                                  {0, 5, 0, 6, 0},
                                                  {-1, 5, 0, 5, 0},
                                                  {3, 2, 0, 5, 0},
                                                  {0, 5, 4, 3, 0}}) {
      Case c({5, 5, 2, 2, 4}, span);
      CHECK_THROWS_AS(c.run_forward(stream), std::invalid_argument);
    }
  }
}

}  // namespace fulgur
