#include <doctest/doctest.h>

#include <stdexcept>
#include <vector>

#include "kernels/lightning_attention.hpp"
#include "tests/support/twin_rounded.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Floats;
using test::Ints;
using test::random_floats;
using test::TwinFloats;
using test::TwinInts;
using test::TwinRounded;

struct Problem {
  std::vector<std::int32_t> starts;
  std::int64_t num_heads, d;
  float largest_rate;

  std::int64_t num_tokens() const { return starts.back(); }
  std::int64_t num_segments() const { return static_cast<std::int64_t>(starts.size()) - 1; }
  // Backwards from the last slot; every third segment has no state.
  std::vector<std::int32_t> slots(std::int32_t phase) const {
    const auto segments = static_cast<std::int32_t>(num_segments());
    std::vector<std::int32_t> out;
    out.reserve(starts.size());
    for (std::int32_t s = 0; s < segments; ++s)
      out.push_back(segments > 1 && (s + phase) % 3 == 0 ? -1 : segments - s);
    return out;
  }
};

// q, k and v side by side, as the layer has them: [T, H, 3, d].
struct Case {
  explicit Case(const Problem& problem)
      : T(problem.num_tokens()),
        H(problem.num_heads),
        d(problem.d),
        S(problem.num_segments()),
        starts(both, Ints({S + 1}, problem.starts)),
        in_slot(both, Ints({S}, problem.slots(1))),
        out_slot(both, Ints({S}, problem.slots(2))),
        qkv(both, random_floats({T, H, 3, d}, 1)),
        dout(both, random_floats({T, H, d}, 2)),
        o(both, Floats({T, H, d}, 9.0f)),
        dqkv(both, Floats({T, H, 3, d}, 9.0f)),
        states_in(both, random_floats({S + 1, H, d, d}, 3)),
        dstates_out(both, random_floats({S + 1, H, d, d}, 4)),
        states(both, Floats({S + 1, H, d, d}, 9.0f)),
        dstates(both, Floats({S + 1, H, d, d}, 9.0f)),
        rate(both, random_floats({H}, 5, 0.0f, problem.largest_rate)) {}

  void run() {
    both.run([&](Device on, Stream& stream) {
      const LightningSegments segments{
          .starts = starts.on(on), .in_slot = in_slot.on(on), .out_slot = out_slot.on(on)};
      const auto part = [on](TwinRounded& of, int i) { return of.on(on).select(2, i); };
      const auto q = part(qkv, 0), k = part(qkv, 1), v = part(qkv, 2);
      lightning_state_forward({.k = k,
                               .v = v,
                               .decay_rate = rate.on(on),
                               .segments = segments,
                               .states = states.on(on)},
                              stream);
      lightning_output_forward({.q = q,
                                .k = k,
                                .v = v,
                                .decay_rate = rate.on(on),
                                .segments = segments,
                                .states_in = states_in.on(on),
                                .o = o.on(on)},
                               stream);
      lightning_state_backward({.q = q,
                                .dout = dout.on(on),
                                .decay_rate = rate.on(on),
                                .segments = segments,
                                .dstates = dstates.on(on)},
                               stream);
      lightning_output_backward({.q = q,
                                 .k = k,
                                 .v = v,
                                 .dout = dout.on(on),
                                 .decay_rate = rate.on(on),
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
  TwinRounded qkv, dout, o, dqkv;
  TwinFloats states_in, dstates_out, states, dstates, rate;
};

// Against float32 on the same bfloat16 numbers. Results and what is rounded on the way leave an
// error of up to 1.7e-3 of the norm each, and at most four roundings meet.
void check(const Problem& problem) {
  CAPTURE(problem.num_tokens());
  CAPTURE(problem.d);
  CAPTURE(problem.largest_rate);
  Case c(problem);
  c.run();
  constexpr double kBound = 4e-3;
  CHECK(c.both.repeats());
  CHECK(c.o.error() < kBound);
  CHECK(c.dqkv.error() < kBound);
  CHECK(c.states.error() < kBound);
  CHECK(c.dstates.error() < kBound);
}

}  // namespace

TEST_SUITE("kernels/cuda/lightning_attention_bf16") {
  TEST_CASE("all four calls on bfloat16 are near those of the CPU for packed segments" *
            doctest::skip(!test::has_cuda())) {
    const std::vector<std::vector<std::int32_t>> runs{
        {0, 1}, {0, 64}, {0, 65}, {0, 200}, {0, 5, 5, 70, 134, 135}, {0, 63, 127, 191, 400}};
    for (const std::int64_t d : {1, 24, 64, 65, 100, 128}) {
      for (const auto& starts : runs) {
        for (const float largest_rate : {0.0f, 0.9f})
          check({starts, 3, d, largest_rate});
      }
    }
  }

  TEST_CASE("a long document of bfloat16 is near that of the CPU" *
            doctest::skip(!test::has_cuda())) {
    check({{0, 4000, 4096}, 4, 128, 0.5f});
    check({{0, 4096}, 2, 128, 0.001f});
  }

  TEST_CASE("bfloat16 with larger heads is refused by name" * doctest::skip(!test::has_cuda())) {
    Stream stream(Device::kCuda);
    const Buffer memory(Device::kCuda, 4096);
    const auto large = Tensor::contiguous(memory.data(), DType::kBFloat16, {5, 1, 136});
    CHECK_THROWS_WITH_AS(lightning_state_forward({.k = large, .v = large}, stream),
                         doctest::Contains("lightning_state_forward: k: expected a head size"),
                         std::invalid_argument);
  }
}

}  // namespace fulgur
