#include "kernels/lightning_carry.hpp"

#include <doctest/doctest.h>

#include "tests/support/twin_rounded.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Floats;
using test::Ints;
using test::random_floats;
using test::tolerance;
using test::TwinFloats;
using test::TwinInts;
using test::TwinRounded;

// A packed run of segments, some with states before and behind them, in activations that are
// `Numbers`.
constexpr std::int64_t kTokens = 2000, kHeads = 3;
template <class Numbers>
void check_carry(std::int64_t d, float largest_rate, double bound) {
  CAPTURE(d);
  CAPTURE(largest_rate);
  BothDevices both;
  TwinInts starts(both, Ints({7}, {0, 0, 1, 34, 194, 1900, 2000})),
      in_slot(both, Ints({6}, {1, -1, 3, 0, 2, -1})),
      out_slot(both, Ints({6}, {-1, 0, 3, -1, 1, 2}));
  TwinFloats states(both, random_floats({4, kHeads, d, d}, 2)),
      rate(both, random_floats({kHeads}, 3, 0.0f, largest_rate));
  Numbers qkv(both, random_floats({kTokens, 3 * kHeads, d}, 1)),
      o(both, random_floats({kTokens, kHeads, d}, 4)),
      dqkv(both, random_floats({kTokens, 3 * kHeads, d}, 5));
  both.run([&](Device on, Stream& stream) {
    const auto part = [&](Numbers& twin, int i) {
      return twin.on(on).slice(1, i * kHeads, kHeads);
    };
    const LightningSegments segments{
        .starts = starts.on(on), .in_slot = in_slot.on(on), .out_slot = out_slot.on(on)};
    lightning_carry_forward({.q = part(qkv, 0),
                             .decay_rate = rate.on(on),
                             .segments = segments,
                             .states_in = states.on(on),
                             .o = o.on(on)},
                            stream);
    lightning_carry_backward({.k = part(qkv, 1),
                              .v = part(qkv, 2),
                              .decay_rate = rate.on(on),
                              .segments = segments,
                              .dstates_out = states.on(on),
                              .dk = part(dqkv, 1),
                              .dv = part(dqkv, 2)},
                             stream);
  });
  CHECK(both.repeats());
  CHECK(o.error() < bound);
  CHECK(dqkv.error() < bound);
}

}  // namespace

TEST_SUITE("kernels/cuda/lightning_carry") {
  TEST_CASE("folds of states are those of the CPU" * doctest::skip(!test::has_cuda())) {
    const std::int64_t H = kHeads;
    for (const std::int64_t d : {1, 16, 100})
      for (const std::int64_t J : {1, 4, 300}) {
        CAPTURE(d);
        CAPTURE(J);
        BothDevices both;
        TwinFloats states(both, random_floats({J, H, d, d}, 1)),
            rate(both, random_floats({H}, 2, 0.0f, 0.1f)), out(both, Floats({5, H, d, d}, 9.0f)),
            sum(both, random_floats({5, H, d, d}, 3));
        TwinInts distance(both, test::random_ints({5, J}, 4, -20, 20));
        both.run([&](Device on, Stream& stream) {
          LightningFold fold{.states = states.on(on),
                             .distance = distance.on(on),
                             .decay_rate = rate.on(on),
                             .out = out.on(on)};
          lightning_fold(fold, stream);
          fold.out = sum.on(on);
          fold.add = true;
          lightning_fold(fold, stream);
        });
        CHECK(both.repeats());
        CHECK(out.error() < tolerance(DType::kFloat32, J));
        CHECK(sum.error() < tolerance(DType::kFloat32, J));
      }
  }

  TEST_CASE("what is carried into and out of segments is that of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const std::int64_t d : {1, 16, 33, 128, 256})
      for (const float largest_rate : {0.0f, 0.9f, 40.0f}) {
        check_carry<TwinFloats>(d, largest_rate, tolerance(DType::kFloat32, 4 * d));
        check_carry<TwinRounded>(d, largest_rate, test::rounding_bound(kTokens * kHeads * d));
      }
  }
}

}  // namespace fulgur
