#include "kernels/lightning_attention.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "tests/support/finite_differences.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/lightning_oracle.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::Ints;

// A packed run of tokens, all that the four calls take, and what they give. Every segment has a slot of its
// own for the incoming and for the leaving state.
struct Case {
  Case(std::vector<std::int32_t> all_starts, std::int64_t heads, std::int64_t head_dim,
       unsigned seed = 1)
      : T(all_starts.back()),
        H(heads),
        d(head_dim),
        S(static_cast<std::int64_t>(all_starts.size()) - 1),
        starts({S + 1}, std::move(all_starts)),
        slots(Shape{S}),
        none({S}, -1),
        q(test::random_floats({T, H, d}, seed)),
        k(test::random_floats({T, H, d}, seed + 1)),
        v(test::random_floats({T, H, d}, seed + 2)),
        dout(test::random_floats({T, H, d}, seed + 3)),
        states_in(test::random_floats({S, H, d, d}, seed + 4)),
        dstates_out(test::random_floats({S, H, d, d}, seed + 5)),
        rate(Shape{H}),
        o({T, H, d}, 9.0f),
        dq({T, H, d}, 9.0f),
        dk({T, H, d}, 9.0f),
        dv({T, H, d}, 9.0f),
        states({S, H, d, d}, 9.0f),
        dstates({S, H, d, d}, 9.0f) {
    std::iota(slots.values.begin(), slots.values.end(), 0);
    for (std::int64_t h = 0; h < H; ++h)  // the slopes of the model's first layer
      rate.values[static_cast<std::size_t>(h)] =
          std::exp2(-8.0f * static_cast<float>(h + 1) / static_cast<float>(H));
  }

  LightningSegments segments() { return {.starts = starts, .in_slot = slots, .out_slot = slots}; }

  void run_forward(Stream& stream) {
    lightning_state_forward(
        {.k = k, .v = v, .decay_rate = rate, .segments = segments(), .states = states}, stream);
    lightning_output_forward({.q = q,
                              .k = k,
                              .v = v,
                              .decay_rate = rate,
                              .segments = segments(),
                              .states_in = states_in,
                              .o = o},
                             stream);
    stream.synchronize();
  }
  void run_backward(Stream& stream) {
    lightning_state_backward(
        {.q = q, .dout = dout, .decay_rate = rate, .segments = segments(), .dstates = dstates},
        stream);
    lightning_output_backward({.q = q,
                               .k = k,
                               .v = v,
                               .dout = dout,
                               .decay_rate = rate,
                               .segments = segments(),
                               .states_in = states_in,
                               .dstates_out = dstates_out,
                               .dq = dq,
                               .dk = dk,
                               .dv = dv},
                              stream);
    stream.synchronize();
  }

  test::LightningOracle oracle() const {
    test::LightningOracle oracle;
    oracle.H = static_cast<std::size_t>(H);
    oracle.d = static_cast<std::size_t>(d);
    oracle.starts.assign(starts.values.begin(), starts.values.end());
    oracle.rate = rate.doubles();
    oracle.q = q.doubles();
    oracle.k = k.doubles();
    oracle.v = v.doubles();
    oracle.states_in = states_in.doubles();
    oracle.dout = dout.doubles();
    oracle.dstates_out = dstates_out.doubles();
    return oracle;
  }

  // values + lambda^n initial: how a state from a zero start becomes the whole one, and so the gradients.
  std::vector<double> combined(const Floats& values, const Floats& initial) const {
    auto out = values.doubles();
    const auto block = static_cast<std::size_t>(d * d);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto h = i / block % static_cast<std::size_t>(H),
                 s = i / block / static_cast<std::size_t>(H);
      const auto n = starts.values[s + 1] - starts.values[s];
      out[i] += std::exp(-static_cast<double>(rate.values[h]) * n) *
                static_cast<double>(initial.values[i]);
    }
    return out;
  }

  std::int64_t T, H, d, S;
  Ints starts, slots, none;
  Floats q, k, v, dout, states_in, dstates_out, rate;
  Floats o, dq, dk, dv, states, dstates;
};

// Segments of no token, of one, around the block length, and much longer.
const std::vector<std::int32_t> kStarts{0, 0, 1, 2, 65, 129, 192, 193, 420, 420};

double allowed(const Case& c) {
  return test::tolerance(DType::kFloat32, c.d);
}

}  // namespace

TEST_SUITE("kernels/lightning_attention") {
  TEST_CASE("outputs and states equal the recurrence") {
    Stream stream(Device::kCpu);
    for (std::int64_t H : {1, 3})
      for (std::int64_t d : {1, 7, 16, 64, 130}) {
        CAPTURE(H);
        CAPTURE(d);
        Case c(kStarts, H, d);
        auto oracle = c.oracle();
        oracle.forward();
        c.run_forward(stream);
        CHECK(test::relative_error(c.o.values, oracle.o) < allowed(c));
        CHECK(test::relative_error(c.combined(c.states, c.states_in), oracle.states_out) <
              allowed(c));
      }
  }

  TEST_CASE("gradients equal the derivative of the recurrence") {
    Stream stream(Device::kCpu);
    for (std::int64_t H : {1, 3})
      for (std::int64_t d : {1, 7, 16, 64, 130}) {
        CAPTURE(H);
        CAPTURE(d);
        Case c(kStarts, H, d);
        auto oracle = c.oracle();
        oracle.backward();
        c.run_backward(stream);
        CHECK(test::relative_error(c.dq.values, oracle.dq) < allowed(c));
        CHECK(test::relative_error(c.dk.values, oracle.dk) < allowed(c));
        CHECK(test::relative_error(c.dv.values, oracle.dv) < allowed(c));
        CHECK(test::relative_error(c.combined(c.dstates, c.dstates_out), oracle.dstates_in) <
              allowed(c));
      }
  }

  TEST_CASE("gradients equal finite differences") {
    Stream stream(Device::kCpu);
    Case c({0, 1, 70, 72}, 2, 3);
    auto oracle = c.oracle();
    const auto loss = [&] { return oracle.loss(); };
    // The loss is linear in each of its arguments, so that a large step has no error of its own.
    const auto dq = test::finite_differences(oracle.q, loss, 0.1),
               dk = test::finite_differences(oracle.k, loss, 0.1),
               dv = test::finite_differences(oracle.v, loss, 0.1),
               dstates = test::finite_differences(oracle.states_in, loss, 0.1);
    c.run_backward(stream);
    CHECK(test::relative_error(c.dq.values, dq) < allowed(c));
    CHECK(test::relative_error(c.dk.values, dk) < allowed(c));
    CHECK(test::relative_error(c.dv.values, dv) < allowed(c));
    CHECK(test::relative_error(c.combined(c.dstates, c.dstates_out), dstates) < allowed(c));
  }

  TEST_CASE("cutting a sequence and handing states on changes no output and no gradient") {
    Stream stream(Device::kCpu);
    for (const std::int32_t cut : {1, 64, 100, 199}) {
      CAPTURE(cut);
      Case whole({0, 200}, 3, 16), cut_up({0, cut, 200}, 3, 16);
      const auto state = static_cast<std::ptrdiff_t>(3 * 16 * 16);
      std::copy_n(whole.states_in.values.begin(), state, cut_up.states_in.values.begin());
      std::copy_n(whole.dstates_out.values.begin(), state,
                  cut_up.dstates_out.values.begin() + state);
      cut_up.run_forward(stream);
      cut_up.run_backward(stream);
      // Slot 1 gets what leaves segment 0; slot 0 gets the gradient that segment 1 sends back.
      const auto left = cut_up.combined(cut_up.states, cut_up.states_in),
                 right = cut_up.combined(cut_up.dstates, cut_up.dstates_out);
      for (std::ptrdiff_t i = 0; i < state; ++i) {
        const auto at = static_cast<std::size_t>(i), next = static_cast<std::size_t>(i + state);
        cut_up.states_in.values[next] = static_cast<float>(left[at]);
        cut_up.dstates_out.values[at] = static_cast<float>(right[next]);
      }
      whole.run_forward(stream);
      whole.run_backward(stream);
      cut_up.run_forward(stream);
      cut_up.run_backward(stream);
      CHECK(test::relative_error(cut_up.o.values, whole.o.values) < allowed(whole));
      CHECK(test::relative_error(cut_up.dq.values, whole.dq.values) < allowed(whole));
      CHECK(test::relative_error(cut_up.dk.values, whole.dk.values) < allowed(whole));
      CHECK(test::relative_error(cut_up.dv.values, whole.dv.values) < allowed(whole));
    }
  }

  TEST_CASE("packed documents give the same bits as documents on their own") {
    Stream stream(Device::kCpu);
    Case packed({0, 5, 135, 200}, 2, 8);
    packed.run_forward(stream);
    packed.run_backward(stream);
    for (std::size_t s = 0; s < 3; ++s) {
      const auto begin = packed.starts.values[s], n = packed.starts.values[s + 1] - begin;
      Case alone({0, n}, 2, 8);
      const auto take = [&](const Floats& from, Floats& to, std::int64_t at) {
        std::copy_n(from.values.begin() + at, to.values.size(), to.values.begin());
      };
      for (auto part : {&Case::q, &Case::k, &Case::v, &Case::dout})
        take(packed.*part, alone.*part, begin * 2 * 8);
      for (auto part : {&Case::states_in, &Case::dstates_out})
        take(packed.*part, alone.*part, static_cast<std::int64_t>(s) * 2 * 8 * 8);
      alone.run_forward(stream);
      alone.run_backward(stream);
      for (auto part : {&Case::o, &Case::dq, &Case::dk, &Case::dv}) {
        Floats expected({n, 2, 8});
        take(packed.*part, expected, begin * 2 * 8);
        CHECK((alone.*part).values == expected.values);
      }
    }
  }

  TEST_CASE("heads do not see each other: permuted heads give permuted outputs") {
    Stream stream(Device::kCpu);
    Case c({0, 90}, 3, 8), turned({0, 90}, 3, 8);
    const auto rotate = [](Floats& x, std::size_t row) {  // head h moves to h - 1
      for (std::size_t i = 0; i < x.values.size(); i += 3 * row)
        std::rotate(x.values.begin() + static_cast<std::ptrdiff_t>(i),
                    x.values.begin() + static_cast<std::ptrdiff_t>(i + row),
                    x.values.begin() + static_cast<std::ptrdiff_t>(i + 3 * row));
    };
    for (auto part : {&Case::q, &Case::k, &Case::v, &Case::dout})
      rotate(turned.*part, 8);
    for (auto part : {&Case::states_in, &Case::dstates_out})
      rotate(turned.*part, 64);
    rotate(turned.rate, 1);
    c.run_forward(stream);
    c.run_backward(stream);
    turned.run_forward(stream);
    turned.run_backward(stream);
    for (auto part : {&Case::o, &Case::dq, &Case::dk, &Case::dv}) {
      rotate(c.*part, 8);
      CHECK((c.*part).values == (turned.*part).values);
    }
  }

  TEST_CASE("views into one fused tensor give the same bits as dense tensors") {
    Stream stream(Device::kCpu);
    Case c({0, 30, 130}, 3, 8);
    c.run_forward(stream);
    c.run_backward(stream);
    Floats fused({130, 3, 3, 8}), dfused({130, 3, 3, 8}), o({130, 3, 8});
    const auto part = [](Floats& x, std::int64_t i) { return x.tensor().select(2, i); };
    for (std::size_t row = 0; row < 130 * 3; ++row)
      for (std::size_t j = 0; j < 8; ++j) {
        fused.values[row * 24 + j] = c.q.values[row * 8 + j];
        fused.values[row * 24 + 8 + j] = c.k.values[row * 8 + j];
        fused.values[row * 24 + 16 + j] = c.v.values[row * 8 + j];
      }
    lightning_output_forward({.q = part(fused, 0),
                              .k = part(fused, 1),
                              .v = part(fused, 2),
                              .decay_rate = c.rate,
                              .segments = c.segments(),
                              .states_in = c.states_in,
                              .o = o},
                             stream);
    lightning_output_backward({.q = part(fused, 0),
                               .k = part(fused, 1),
                               .v = part(fused, 2),
                               .dout = c.dout,
                               .decay_rate = c.rate,
                               .segments = c.segments(),
                               .states_in = c.states_in,
                               .dstates_out = c.dstates_out,
                               .dq = part(dfused, 0),
                               .dk = part(dfused, 1),
                               .dv = part(dfused, 2)},
                              stream);
    stream.synchronize();
    CHECK(o.values == c.o.values);
    for (std::size_t row = 0; row < 130 * 3; ++row)
      for (std::size_t j = 0; j < 8; ++j) {
        REQUIRE(dfused.values[row * 24 + j] == c.dq.values[row * 8 + j]);
        REQUIRE(dfused.values[row * 24 + 8 + j] == c.dk.values[row * 8 + j]);
        REQUIRE(dfused.values[row * 24 + 16 + j] == c.dv.values[row * 8 + j]);
      }
  }

  TEST_CASE("no decay and a decay that forgets at once are both exact") {
    Stream stream(Device::kCpu);
    for (const float rate : {0.0f, 3.0f, 50.0f, 1000.0f}) {
      CAPTURE(rate);
      Case c({0, 300}, 1, 16);
      c.rate.values[0] = rate;
      auto oracle = c.oracle();
      oracle.forward();
      oracle.backward();
      c.run_forward(stream);
      c.run_backward(stream);
      CHECK(test::relative_error(c.o.values, oracle.o) < allowed(c));
      CHECK(test::relative_error(c.dk.values, oracle.dk) < allowed(c));
    }
  }

  TEST_CASE("slot -1 starts from zero, and needs no table of states") {
    Stream stream(Device::kCpu);
    Case c({0, 3, 100}, 2, 8), zeros({0, 3, 100}, 2, 8);
    zeros.states_in = Floats({2, 2, 8, 8});
    zeros.dstates_out = Floats({2, 2, 8, 8});
    zeros.run_forward(stream);
    zeros.run_backward(stream);
    const LightningSegments alone{.starts = c.starts, .in_slot = c.none, .out_slot = c.none};
    lightning_output_forward(
        {.q = c.q, .k = c.k, .v = c.v, .decay_rate = c.rate, .segments = alone, .o = c.o}, stream);
    lightning_output_backward({.q = c.q,
                               .k = c.k,
                               .v = c.v,
                               .dout = c.dout,
                               .decay_rate = c.rate,
                               .segments = alone,
                               .dq = c.dq,
                               .dk = c.dk,
                               .dv = c.dv},
                              stream);
    lightning_state_forward({.k = c.k, .v = c.v, .decay_rate = c.rate, .segments = alone}, stream);
    stream.synchronize();
    for (auto part : {&Case::o, &Case::dq, &Case::dk, &Case::dv})
      CHECK(test::relative_error((c.*part).values, (zeros.*part).values) < allowed(c));
  }

  TEST_CASE("slots that no segment names keep what they hold") {
    Stream stream(Device::kCpu);
    Case c({0, 3, 100}, 2, 8);
    c.slots.values = {-1, 0};
    c.run_forward(stream);
    c.run_backward(stream);
    for (const auto* table : {&c.states, &c.dstates}) {
      const auto middle = table->values.begin() + 2 * 8 * 8;
      CHECK(std::all_of(middle, table->values.end(), [](float x) { return x == 9.0f; }));
      CHECK(std::none_of(table->values.begin(), middle, [](float x) { return x == 9.0f; }));
    }
  }

  TEST_CASE("no tokens leave zero states") {
    Stream stream(Device::kCpu);
    Case c({0, 0}, 2, 4);
    c.run_forward(stream);
    c.run_backward(stream);
    CHECK(c.states.values == std::vector<float>(32, 0.0f));
    CHECK(c.dstates.values == std::vector<float>(32, 0.0f));
    Case nothing({0}, 2, 4);
    CHECK_NOTHROW(nothing.run_forward(stream));
  }

  TEST_CASE("dims and dtypes that do not fit are refused by name") {
    Case head_dim({0, 5}, 2, 4), states({0, 5}, 2, 4), slots({0, 5}, 2, 4), rates({0, 5}, 2, 4);
    head_dim.k = Floats({5, 2, 3});
    states.states = Floats({1, 2, 4, 5});
    slots.slots = Ints(Shape{2});
    rates.rate = Floats(Shape{3});
    Stream stream(Device::kCpu);  // ends before the tensors of calls that were queued
    CHECK_THROWS_WITH_AS(head_dim.run_backward(stream),
                         "lightning_output_backward: k: expected dims [ 5 2 4 ], got [ 5 2 3 ]",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(
        states.run_forward(stream),
        "lightning_state_forward: states: expected dims [ ? 2 4 4 ], got [ 1 2 4 5 ]",
        std::invalid_argument);
    CHECK_THROWS_AS(slots.run_forward(stream), std::invalid_argument);
    CHECK_THROWS_AS(rates.run_forward(stream), std::invalid_argument);
  }

  TEST_CASE("starts and slots that lead outside are refused when the work runs") {
    Stream stream(Device::kCpu);
    Case slot({0, 5}, 2, 4);
    slot.slots.values = {1};
    CHECK_THROWS_AS(slot.run_forward(stream), std::invalid_argument);
    Case end({0, 5}, 2, 4);
    end.starts.values = {0, 6};
    CHECK_THROWS_AS(end.run_forward(stream), std::invalid_argument);
    Case order({0, 2, 5}, 2, 4);
    order.starts.values = {0, 6, 5};
    CHECK_THROWS_AS(order.run_forward(stream), std::invalid_argument);
  }
}

}  // namespace fulgur
