#include "kernels/lightning_carry.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels/memory.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/lightning_oracle.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::Ints;
using test::random_floats;
using test::relative_error;

double allowed(std::int64_t terms) {
  return 2 * test::tolerance(DType::kFloat32, terms);
}

// Segments of no token, of one, and of several blocks; the second and the last have no state.
struct Case {
  Case(std::int64_t heads, std::int64_t head_dim, float largest_rate)
      : H(heads),
        d(head_dim),
        rate(random_floats({H}, 6, 0.0f, largest_rate)),
        q(random_floats({T, H, d}, 1)),
        k(random_floats({T, H, d}, 2)),
        v(random_floats({T, H, d}, 3)),
        dout(random_floats({T, H, d}, 4)),
        states(random_floats({4, H, d, d}, 5)),
        o({T, H, d}),
        dq(o),
        dk(o),
        dv(o) {}

  LightningSegments segments() { return {.starts = starts, .in_slot = slots, .out_slot = slots}; }

  // The same states enter and leave, as gradients.
  test::LightningOracle oracle() const {
    test::LightningOracle oracle;
    oracle.H = static_cast<std::size_t>(H);
    oracle.d = static_cast<std::size_t>(d);
    oracle.starts.assign(starts.values.begin(), starts.values.end());
    oracle.rate = rate.doubles();
    oracle.q = q.doubles();
    oracle.k = k.doubles();
    oracle.v = v.doubles();
    oracle.dout = dout.doubles();
    const auto size = static_cast<std::size_t>(H * d * d);
    for (const auto slot : slots.values)
      for (std::size_t i = 0; i < size; ++i) {
        const auto at = static_cast<std::size_t>(slot) * size + i;
        oracle.states_in.push_back(slot < 0 ? 0.0 : static_cast<double>(states.values[at]));
      }
    oracle.dstates_out = oracle.states_in;
    return oracle;
  }

  static constexpr std::int64_t T = 420;
  std::int64_t H, d;
  Ints starts{Shape{7}, std::vector<std::int32_t>{0, 0, 1, 66, 194, 401, 420}};
  Ints slots{Shape{6}, std::vector<std::int32_t>{1, -1, 3, 0, 2, -1}};
  Ints none{Shape{6}, -1};
  Floats rate, q, k, v, dout, states, o, dq, dk, dv;
};

}  // namespace

TEST_SUITE("kernels/lightning_carry") {
  TEST_CASE("a fold is the decayed sum over the states with a distance") {
    constexpr std::int32_t kNone = -1;
    const std::int64_t H = 3;
    for (const std::int64_t d : {1, 5, 16}) {
      CAPTURE(d);
      Stream stream(Device::kCpu);
      auto rate = random_floats({H}, 1, 0.0f, 0.5f), states = random_floats({4, H, d, d}, 2);
      Ints distance({3, 4}, {0, kNone, 7, kNone,          //
                             kNone, kNone, kNone, kNone,  //
                             1, 130, 12, 1000000});
      Floats out({3, H, d, d}, 9.0f), sum({3, H, d, d}, 9.0f);
      lightning_fold({.states = states, .distance = distance, .decay_rate = rate, .out = out},
                     stream);
      lightning_fold(
          {.states = states, .distance = distance, .decay_rate = rate, .out = sum, .add = true},
          stream);
      stream.synchronize();

      std::vector<double> expected, added;
      const auto size = static_cast<std::size_t>(d * d), heads = static_cast<std::size_t>(H);
      for (std::size_t i = 0; i < out.values.size(); ++i) {
        const auto p = i / size / heads, h = i / size % heads;
        double value = 0;
        for (std::size_t j = 0; j < 4; ++j) {
          const auto tokens = distance.values[p * 4 + j];
          if (tokens < 0) continue;
          value += std::exp(-static_cast<double>(rate.values[h]) * tokens) *
                   static_cast<double>(states.values[(j * heads + h) * size + i % size]);
        }
        expected.push_back(value);
        added.push_back(9.0 + value);
      }
      CHECK(relative_error(out.values, expected) < allowed(4));
      CHECK(relative_error(sum.values, added) < allowed(4));
    }
  }

  TEST_CASE("a fold does not read states without a distance") {
    Stream stream(Device::kCpu);
    Floats rate({1}, 0.5f), out({1, 1, 1, 1}, 9.0f);
    Floats states({2, 1, 1, 1}, {std::numeric_limits<float>::quiet_NaN(), 3.0f});
    Ints distance({1, 2}, {-1, 0});
    lightning_fold({.states = states, .distance = distance, .decay_rate = rate, .out = out},
                   stream);
    stream.synchronize();
    CHECK(out.values[0] == 3.0f);
  }

  TEST_CASE("outputs without states and what is carried make the recurrence with states") {
    Stream stream(Device::kCpu);
    for (const std::int64_t d : {1, 7, 64})
      for (const float largest_rate : {0.0f, 0.9f, 40.0f}) {
        CAPTURE(d);
        CAPTURE(largest_rate);
        Case c(3, d, largest_rate);
        auto oracle = c.oracle();
        oracle.forward();
        const LightningSegments apart{.starts = c.starts, .in_slot = c.none, .out_slot = c.none};
        lightning_output_forward({.q = c.q,
                                  .k = c.k,
                                  .v = c.v,
                                  .decay_rate = c.rate,
                                  .segments = apart,
                                  .states_in = {},
                                  .o = c.o},
                                 stream);
        lightning_carry_forward({.q = c.q,
                                 .decay_rate = c.rate,
                                 .segments = c.segments(),
                                 .states_in = c.states,
                                 .o = c.o},
                                stream);
        stream.synchronize();
        CHECK(relative_error(c.o.values, oracle.o) < allowed(d));
      }
  }

  TEST_CASE("gradients without states and what is carried make the recurrence's derivative") {
    Stream stream(Device::kCpu);
    for (const std::int64_t d : {1, 7, 64})
      for (const float largest_rate : {0.0f, 0.9f, 40.0f}) {
        CAPTURE(d);
        CAPTURE(largest_rate);
        Case c(3, d, largest_rate);
        auto oracle = c.oracle();
        oracle.backward();
        const LightningSegments entered{.starts = c.starts, .in_slot = c.slots, .out_slot = c.none};
        lightning_output_backward({.q = c.q,
                                   .k = c.k,
                                   .v = c.v,
                                   .dout = c.dout,
                                   .decay_rate = c.rate,
                                   .segments = entered,
                                   .states_in = c.states,
                                   .dstates_out = {},
                                   .dq = c.dq,
                                   .dk = c.dk,
                                   .dv = c.dv},
                                  stream);
        lightning_carry_backward({.k = c.k,
                                  .v = c.v,
                                  .decay_rate = c.rate,
                                  .segments = c.segments(),
                                  .dstates_out = c.states,
                                  .dk = c.dk,
                                  .dv = c.dv},
                                 stream);
        stream.synchronize();
        CHECK(relative_error(c.dq.values, oracle.dq) < allowed(d));
        CHECK(relative_error(c.dk.values, oracle.dk) < allowed(d));
        CHECK(relative_error(c.dv.values, oracle.dv) < allowed(d));
      }
  }

  TEST_CASE("strided rows are read and added to where they lie") {
    Stream stream(Device::kCpu);
    Case dense(2, 5, 0.3f), strided(2, 5, 0.3f);
    Floats both({Case::T, 2, 2, 5}, 0.0f);  // q, then o, of each token
    copy(dense.q, both.tensor().select(1, 0), stream);
    lightning_carry_forward({.q = dense.q,
                             .decay_rate = dense.rate,
                             .segments = dense.segments(),
                             .states_in = dense.states,
                             .o = dense.o},
                            stream);
    lightning_carry_forward({.q = both.tensor().select(1, 0),
                             .decay_rate = dense.rate,
                             .segments = dense.segments(),
                             .states_in = dense.states,
                             .o = both.tensor().select(1, 1)},
                            stream);
    copy(both.tensor().select(1, 1), strided.o, stream);
    stream.synchronize();
    CHECK(strided.o.values == dense.o.values);
  }

  TEST_CASE("wrong dims and slots outside the table are refused by name") {
    Stream stream(Device::kCpu);
    Case c(2, 5, 0.3f);
    Floats short_rate(Shape{1}), few({1, 2, 5, 5});
    CHECK_THROWS_WITH_AS(lightning_carry_forward({.q = c.q,
                                                  .decay_rate = short_rate,
                                                  .segments = c.segments(),
                                                  .states_in = c.states,
                                                  .o = c.o},
                                                 stream),
                         doctest::Contains("lightning_carry_forward: decay_rate"),
                         std::invalid_argument);
    Ints distance({4, 3}, 0);
    CHECK_THROWS_WITH_AS(
        lightning_fold(
            {.states = c.states, .distance = distance, .decay_rate = c.rate, .out = c.states},
            stream),
        doctest::Contains("lightning_fold: distance"), std::invalid_argument);
    lightning_carry_backward({.k = c.k,
                              .v = c.v,
                              .decay_rate = c.rate,
                              .segments = c.segments(),
                              .dstates_out = few,
                              .dk = c.dk,
                              .dv = c.dv},
                             stream);
    CHECK_THROWS_WITH_AS(stream.synchronize(), doctest::Contains("slot 1 of 1 states"),
                         std::invalid_argument);
  }
}

}  // namespace fulgur
