#include "kernels/lightning_attention.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Floats;
using test::Ints;
using test::random_floats;
using test::TwinFloats;
using test::TwinInts;

// q, k and v lie in one tensor, as a layer has them; state tables have a slot that nobody uses.
struct Case {
  Case(const std::vector<std::int32_t>& begins, std::int64_t heads, std::int64_t head_dim,
       float largest_rate)
      : T(begins.back()),
        H(heads),
        d(head_dim),
        S(static_cast<std::int64_t>(begins.size()) - 1),
        starts(both, Ints({S + 1}, begins)),
        in_slot(both, slots(1)),
        out_slot(both, slots(2)),
        qkv(both, random_floats({T, 3 * H, d}, 1)),
        dout(both, random_floats({T, H, d}, 2)),
        states_in(both, random_floats({S + 1, H, d, d}, 3)),
        dstates_out(both, random_floats({S + 1, H, d, d}, 4)),
        rate(both, random_floats({H}, 5, 0.0f, largest_rate)),
        states(both, Floats({S + 1, H, d, d}, 9.0f)),
        dstates(both, Floats({S + 1, H, d, d}, 9.0f)),
        o(both, Floats({T, H, d}, 9.0f)),
        dqkv(both, Floats({T, 3 * H, d}, 9.0f)) {}

  // Backwards from the last slot; every third segment has no state.
  Ints slots(std::int32_t phase) const {
    Ints out({S});
    for (std::int32_t s = 0; s < S; ++s)
      out.values[static_cast<std::size_t>(s)] =
          S > 1 && (s + phase) % 3 == 0 ? -1 : static_cast<std::int32_t>(S) - s;
    return out;
  }

  void run() {
    both.run([&](Device on, Stream& stream) {
      const auto part = [&](TwinFloats& twin, int i) { return twin.on(on).slice(1, i * H, H); };
      const auto q = part(qkv, 0), k = part(qkv, 1), v = part(qkv, 2);
      const LightningSegments segments{
          .starts = starts.on(on), .in_slot = in_slot.on(on), .out_slot = out_slot.on(on)};
      const auto decay = rate.on(on);
      lightning_state_forward(
          {.k = k, .v = v, .decay_rate = decay, .segments = segments, .states = states.on(on)},
          stream);
      lightning_output_forward({.q = q,
                                .k = k,
                                .v = v,
                                .decay_rate = decay,
                                .segments = segments,
                                .states_in = states_in.on(on),
                                .o = o.on(on)},
                               stream);
      lightning_state_backward({.q = q,
                                .dout = dout.on(on),
                                .decay_rate = decay,
                                .segments = segments,
                                .dstates = dstates.on(on)},
                               stream);
      lightning_output_backward({.q = q,
                                 .k = k,
                                 .v = v,
                                 .dout = dout.on(on),
                                 .decay_rate = decay,
                                 .segments = segments,
                                 .states_in = states_in.on(on),
                                 .dstates_out = dstates_out.on(on),
                                 .dq = part(dqkv, 0),
                                 .dk = part(dqkv, 1),
                                 .dv = part(dqkv, 2)},
                                stream);
    });
  }

  BothDevices both;
  std::int64_t T, H, d, S;
  TwinInts starts, in_slot, out_slot;
  TwinFloats qkv, dout, states_in, dstates_out, rate, states, dstates, o, dqkv;
};

void check_packed_segments(std::int64_t d) {
  const std::vector<std::vector<std::int32_t>> runs{
      {0, 0}, {0, 1}, {0, 33}, {0, 200}, {0, 5, 5, 70, 134, 135}, {0, 31, 63, 95, 400}};
  for (const auto& starts : runs) {
    for (const float largest_rate : {0.0f, 0.9f}) {
      CAPTURE(starts.back());
      CAPTURE(d);
      CAPTURE(largest_rate);
      Case c(starts, 3, d, largest_rate);
      c.run();
      const auto bound = test::tolerance(DType::kFloat32, 4 * (c.T + d));
      CHECK(c.both.repeats());
      CHECK(c.o.error() < bound);
      CHECK(c.dqkv.error() < bound);
      CHECK(c.states.error() < bound);
      CHECK(c.dstates.error() < bound);
    }
  }
}

}  // namespace

TEST_SUITE("kernels/cuda/lightning_attention") {
  TEST_CASE("all four calls are those of the CPU for packed segments" *
            doctest::skip(!test::has_cuda())) {
    for (const std::int64_t d : {1, 16, 33})
      check_packed_segments(d);
  }

  TEST_CASE("all four calls are those of the CPU for packed segments of large heads" *
            doctest::skip(!test::has_cuda())) {
    for (const std::int64_t d : {128, 200, 256})
      check_packed_segments(d);
  }

  TEST_CASE("a long document of large heads is that of the CPU" *
            doctest::skip(!test::has_cuda())) {
    Case c({0, 4000, 4096}, 4, 128, 0.5f);
    c.run();
    const auto bound = test::tolerance(DType::kFloat32, 4 * c.T);
    CHECK(c.o.error() < bound);
    CHECK(c.dqkv.error() < bound);
    CHECK(c.states.error() < bound);
    CHECK(c.dstates.error() < bound);
  }
}

}  // namespace fulgur
