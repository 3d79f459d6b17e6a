// The kernels of both attentions; see bench.hpp.
#include "kernels/lightning_attention.hpp"
#include "kernels/rotary.hpp"
#include "kernels/softmax_attention.hpp"
#include "tests/bench/bench.hpp"

namespace fulgur {
namespace {

using benchmark::State;
using test::Bench;

// args: T, H, d
template <DType kDType>
void bm_rotary(State& state) {
  Bench bench(state);
  const auto T = state.range(0), H = state.range(1), d = state.range(2);
  const Rotary args{.x = bench.numbers_of(kDType, {T, H, d}),
                    .positions = bench.ints({T}, T),
                    .rotary_dim = d / 2};
  bench.run(rotary, args);
  bench.moves({args.x});  // half of the dims, read and written
}

// One document, q, k and v side by side as the layer has them        args: T, H, d
struct LightningCase {
  LightningCase(Bench& bench, const State& state, DType dtype)
      : T(state.range(0)),
        H(state.range(1)),
        d(state.range(2)),
        qkv(bench.numbers_of(dtype, {T, H, 3, d})),
        dqkv(bench.tensor({T, H, 3, d}, dtype)),
        o(bench.numbers_of(dtype, {T, H, d})),
        states(bench.floats({1, H, d, d})),
        decay_rate(bench.constants({H}, 0.05f)),
        segments{.starts = bench.numbers({2}, {0, static_cast<std::int32_t>(T)}),
                 .in_slot = bench.numbers({1}, {-1}),
                 .out_slot = bench.numbers({1}, {0})} {}
  // The operations of the recurrence: a state is updated with one outer product and read by one
  // vector, each 2 d^2. Blocks cost more, but that is the kernel's own affair.
  std::int64_t products(std::int64_t n) const { return n * 2 * T * H * d * d; }

  std::int64_t T, H, d;
  Tensor qkv, dqkv, o, states, decay_rate;
  LightningSegments segments;
};

template <DType kDType>
void bm_lightning_state_forward(State& state) {
  Bench bench(state);
  const LightningCase c(bench, state, kDType);
  bench.run<LightningStateForward>(lightning_state_forward, {.k = c.qkv.select(2, 1),
                                                             .v = c.qkv.select(2, 2),
                                                             .decay_rate = c.decay_rate,
                                                             .segments = c.segments,
                                                             .states = c.states});
  bench.moves({c.o, c.o, c.states});  // k and v are each as large as o
  bench.calculates(c.products(1));
}
template <DType kDType>
void bm_lightning_output_forward(State& state) {
  Bench bench(state);
  const LightningCase c(bench, state, kDType);
  bench.run<LightningOutputForward>(lightning_output_forward, {.q = c.qkv.select(2, 0),
                                                               .k = c.qkv.select(2, 1),
                                                               .v = c.qkv.select(2, 2),
                                                               .decay_rate = c.decay_rate,
                                                               .segments = c.segments,
                                                               .o = c.o});
  bench.moves({c.qkv, c.o});
  bench.calculates(c.products(2));
}
template <DType kDType>
void bm_lightning_output_backward(State& state) {
  Bench bench(state);
  LightningCase c(bench, state, kDType);
  c.segments.out_slot = bench.numbers({1}, {-1});
  bench.run<LightningOutputBackward>(lightning_output_backward, {.q = c.qkv.select(2, 0),
                                                                 .k = c.qkv.select(2, 1),
                                                                 .v = c.qkv.select(2, 2),
                                                                 .dout = c.o,
                                                                 .decay_rate = c.decay_rate,
                                                                 .segments = c.segments,
                                                                 .dq = c.dqkv.select(2, 0),
                                                                 .dk = c.dqkv.select(2, 1),
                                                                 .dv = c.dqkv.select(2, 2)});
  bench.moves({c.qkv, c.o, c.dqkv});
  bench.calculates(c.products(5));  // two states, read three times
}

// One document, `group` query heads to a KV head                     args: T, H, d, group
template <DType kDType>
struct SoftmaxCase {
  SoftmaxCase(Bench& bench, const State& state)
      : T(state.range(0)),
        H(state.range(1)),
        d(state.range(2)),
        group(state.range(3)),
        q(bench.numbers_of(kDType, {T, H, d})),
        k(bench.numbers_of(kDType, {T, H / group, d})),
        v(bench.numbers_of(kDType, {T, H / group, d})),
        o(bench.tensor({T, H, d}, kDType)),
        lse(bench.tensor({T, H})),
        spans(bench.numbers(
            {1, 5}, {0, static_cast<std::int32_t>(T), 0, static_cast<std::int32_t>(T), 0})) {}
  SoftmaxAttentionForward forward() const {
    return {.q = q, .k = k, .v = v, .spans = spans, .scale = 0.125f, .o = o, .lse = lse};
  }
  // Products of all queries with half of the keys.
  std::int64_t products(std::int64_t n) const { return n * T * T * H * d; }

  std::int64_t T, H, d, group;
  Tensor q, k, v, o, lse, spans;
};

template <DType kDType>
void bm_softmax_attention_forward(State& state) {
  Bench bench(state);
  const SoftmaxCase<kDType> c(bench, state);
  bench.run(softmax_attention_forward, c.forward());
  bench.moves({c.q, c.k, c.v, c.o});
  bench.calculates(c.products(2));
}
template <DType kDType>
void bm_softmax_attention_backward(State& state) {
  Bench bench(state);
  const SoftmaxCase<kDType> c(bench, state);
  softmax_attention_forward(c.forward(), bench.stream);
  bench.run<SoftmaxAttentionBackward>(softmax_attention_backward,
                                      {.dout = bench.numbers_of(kDType, c.o.dims),
                                       .q = c.q,
                                       .k = c.k,
                                       .v = c.v,
                                       .o = c.o,
                                       .lse = c.lse,
                                       .spans = c.spans,
                                       .scale = 0.125f,
                                       .dq = bench.tensor(c.q.dims, kDType),
                                       .dk = bench.tensor(c.k.dims, kDType),
                                       .dv = bench.tensor(c.v.dims, kDType)});
  bench.moves({c.q, c.k, c.v, c.o, c.o, c.q, c.k, c.v});
  bench.calculates(c.products(5));
}
const bool kRegistered = test::register_kernels({
    {"bm_rotary", bm_rotary<DType::kFloat32>, {{256, 4, 64}, {2048, 8, 128}}, {{16384, 16, 128}}},
    {"bm_rotary_bf16", bm_rotary<DType::kBFloat16>, {}, {{16384, 16, 128}}},
    {"bm_lightning_state_forward",
     bm_lightning_state_forward<DType::kFloat32>,
     {{256, 4, 64}, {2048, 4, 128}},
     {{8192, 16, 128}, {8192, 64, 128}}},
    {"bm_lightning_output_forward",
     bm_lightning_output_forward<DType::kFloat32>,
     {{256, 4, 64}, {2048, 4, 128}},
     {{8192, 16, 128}, {8192, 64, 128}}},
    {"bm_lightning_output_backward",
     bm_lightning_output_backward<DType::kFloat32>,
     {{256, 4, 64}, {2048, 4, 128}},
     {{8192, 16, 128}, {8192, 64, 128}}},
    {"bm_lightning_state_forward_bf16",
     bm_lightning_state_forward<DType::kBFloat16>,
     {},
     {{8192, 16, 128}, {8192, 64, 128}, {32768, 64, 128}}},
    {"bm_lightning_output_forward_bf16",
     bm_lightning_output_forward<DType::kBFloat16>,
     {},
     {{8192, 16, 128}, {8192, 64, 128}, {32768, 64, 128}}},
    {"bm_lightning_output_backward_bf16",
     bm_lightning_output_backward<DType::kBFloat16>,
     {},
     {{8192, 16, 128}, {8192, 64, 128}, {32768, 64, 128}}},
    {"bm_softmax_attention_forward",
     bm_softmax_attention_forward<DType::kFloat32>,
     {{256, 4, 64, 2}, {2048, 4, 128, 2}},
     {{8192, 16, 128, 4}}},
    {"bm_softmax_attention_forward_bf16",
     bm_softmax_attention_forward<DType::kBFloat16>,
     {},
     {{8192, 64, 128, 1}, {8192, 16, 128, 4}, {8192, 64, 64, 1}}},
    {"bm_softmax_attention_backward",
     bm_softmax_attention_backward<DType::kFloat32>,
     {{256, 4, 64, 2}, {2048, 4, 128, 2}},
     {{8192, 16, 128, 4}}},
    {"bm_softmax_attention_backward_bf16",
     bm_softmax_attention_backward<DType::kBFloat16>,
     {},
     {{8192, 64, 128, 1}, {8192, 16, 128, 4}, {8192, 64, 64, 1}}},
});

}  // namespace
}  // namespace fulgur
