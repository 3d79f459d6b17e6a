// The kernels without attention, matrix products and routing, most of them bound by memory; see bench.hpp.
#include "kernels/activation.hpp"
#include "kernels/adamw.hpp"
#include "kernels/convert.hpp"
#include "kernels/cross_entropy.hpp"
#include "kernels/embedding.hpp"
#include "kernels/random.hpp"
#include "kernels/reduce.hpp"
#include "kernels/rms_norm.hpp"
#include "tests/bench/bench.hpp"

namespace fulgur {
namespace {

using benchmark::State;
using test::Bench;

// args: T, C
template <DType kDType>
void bm_rms_norm_forward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), C = state.range(1);
  const RmsNormForward args{.x = bench.numbers_of(kDType, {T, C}),
                            .weight = bench.floats({C}),
                            .y = bench.tensor({T, C}, kDType),
                            .rstd = bench.tensor({T})};
  bench.run(rms_norm_forward, args);
  bench.moves({args.x, args.y});
}
template <DType kDType>
void bm_rms_norm_backward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), C = state.range(1);
  const RmsNormBackward args{.dy = bench.numbers_of(kDType, {T, C}),
                             .x = bench.numbers_of(kDType, {T, C}),
                             .weight = bench.floats({C}),
                             .rstd = bench.floats({T}),
                             .dx = bench.tensor({T, C}, kDType),
                             .dweight = bench.tensor({C})};
  bench.run(rms_norm_backward, args);
  bench.moves({args.dy, args.x, args.dx});
}

// args: T, C; activations of [T, C]
template <DType kDType>
void bm_silu_forward(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const SiluForward args{.x = bench.numbers_of(kDType, dims), .y = bench.tensor(dims, kDType)};
  bench.run(silu_forward, args);
  bench.moves({args.x, args.y});
}
template <DType kDType>
void bm_silu_backward(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const SiluBackward args{.dy = bench.numbers_of(kDType, dims),
                          .x = bench.numbers_of(kDType, dims),
                          .dx = bench.tensor(dims, kDType)};
  bench.run(silu_backward, args);
  bench.moves({args.dy, args.x, args.dx});
}
template <DType kDType>
void bm_swiglu_forward(State& state) {
  Bench bench(state);
  const auto M = state.range(0), F = state.range(1);
  const SwigluForward args{.x = bench.numbers_of(kDType, {M, 2, F}),
                           .y = bench.tensor({M, F}, kDType)};
  bench.run(swiglu_forward, args);
  bench.moves({args.x, args.y});
}
template <DType kDType>
void bm_swiglu_backward(State& state) {
  Bench bench(state);
  const auto M = state.range(0), F = state.range(1);
  const SwigluBackward args{.dy = bench.numbers_of(kDType, {M, F}),
                            .x = bench.numbers_of(kDType, {M, 2, F}),
                            .dx = bench.tensor({M, 2, F}, kDType)};
  bench.run(swiglu_backward, args);
  bench.moves({args.dy, args.x, args.dx});
}
template <DType kDType>
void bm_sigmoid_gate_forward(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const SigmoidGateForward args{.gate = bench.numbers_of(kDType, dims),
                                .x = bench.numbers_of(kDType, dims),
                                .y = bench.tensor(dims, kDType)};
  bench.run(sigmoid_gate_forward, args);
  bench.moves({args.gate, args.x, args.y});
}
template <DType kDType>
void bm_sigmoid_gate_backward(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const SigmoidGateBackward args{.dy = bench.numbers_of(kDType, dims),
                                 .gate = bench.numbers_of(kDType, dims),
                                 .x = bench.numbers_of(kDType, dims),
                                 .dgate = bench.tensor(dims, kDType),
                                 .dx = bench.tensor(dims, kDType)};
  bench.run(sigmoid_gate_backward, args);
  bench.moves({args.dy, args.gate, args.x, args.dgate, args.dx});
}
template <DType kDType>
void bm_scaled_add(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const ScaledAdd args{.a = bench.numbers_of(kDType, dims),
                       .b = bench.numbers_of(kDType, dims),
                       .y = bench.tensor(dims, kDType),
                       .alpha = 3.5f};
  bench.run(scaled_add, args);
  bench.moves({args.a, args.b, args.y});
}

// args: T, C, V
template <DType kDType>
void bm_embedding_forward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), C = state.range(1), V = state.range(2);
  const EmbeddingForward args{.ids = bench.ints({T}, V),
                              .weight = bench.numbers_of(kDType, {V, C}),
                              .y = bench.tensor({T, C}, kDType)};
  bench.run(embedding_forward, args);
  bench.moves({args.ids, args.y, args.y});
}
template <DType kDType>
void bm_embedding_backward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), C = state.range(1), V = state.range(2);
  const EmbeddingBackward args{.ids = bench.ints({T}, V),
                               .dy = bench.numbers_of(kDType, {T, C}),
                               .dweight = bench.tensor({V, C})};
  bench.run(embedding_backward, args);
  bench.moves({args.ids, args.dy, args.dy, args.dy});
}

// args: T, V
template <DType kDType>
void bm_cross_entropy_forward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), V = state.range(1);
  const CrossEntropyForward args{.logits = bench.numbers_of(kDType, {T, V}),
                                 .labels = bench.ints({T}, V),
                                 .lse = bench.tensor({T}),
                                 .target = bench.tensor({T})};
  bench.run(cross_entropy_forward, args);
  bench.moves({args.logits});
}
// The logits change with every call; the time does not depend on them, for they stay small.
template <DType kDType>
void bm_cross_entropy_backward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), V = state.range(1);
  const CrossEntropyBackward args{.logits = bench.numbers_of(kDType, {T, V}),
                                  .labels = bench.ints({T}, V),
                                  .lse = bench.floats({T}),
                                  .scale = 1e-3f};
  bench.run(cross_entropy_backward, args);
  bench.moves({args.logits, args.logits});
}

// args: T, C; from a bfloat16 tensor to a float32 one, as sums of gradients take them, and back
void bm_convert_add(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const Convert args{
      .x = bench.numbers_of(DType::kBFloat16, dims), .y = bench.tensor(dims), .add = true};
  bench.run(convert, args);
  bench.moves({args.x, args.y, args.y});
}
void bm_convert(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const Convert args{.x = bench.floats(dims), .y = bench.tensor(dims, DType::kBFloat16)};
  bench.run(convert, args);
  bench.moves({args.x, args.y});
}

// args: n
void bm_adamw(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0)};
  const AdamW args{.weight = bench.floats(dims),
                   .gradient = bench.floats(dims),
                   .exp_avg = bench.tensor(dims),
                   .exp_avg_sq = bench.tensor(dims),
                   .learning_rate = 1e-3,
                   .weight_decay = 0.1};
  bench.run(adamw, args);
  bench.moves({args.gradient, args.weight, args.exp_avg, args.exp_avg_sq, args.weight, args.exp_avg,
               args.exp_avg_sq});
}
void bm_sum_of_squares(State& state) {
  Bench bench(state);
  const SumOfSquares args{.x = bench.floats({state.range(0)}),
                          .out = bench.tensor({1}, DType::kFloat64)};
  bench.run(sum_of_squares, args);
  bench.moves({args.x});
}
void bm_fill_normal(State& state) {
  Bench bench(state);
  const FillNormal args{.out = bench.tensor({state.range(0)}), .name = "bench"};
  bench.run(fill_normal, args);
  bench.moves({args.out});
}
const bool kRegistered = test::register_kernels({
    {"bm_rms_norm_forward",
     bm_rms_norm_forward<DType::kFloat32>,
     {{256, 256}, {2048, 512}, {2048, 6144}},
     {{16384, 2048}, {16384, 6144}}},
    {"bm_rms_norm_forward_bf16",
     bm_rms_norm_forward<DType::kBFloat16>,
     {},
     {{16384, 2048}, {16384, 6144}}},
    {"bm_rms_norm_backward",
     bm_rms_norm_backward<DType::kFloat32>,
     {{256, 256}, {2048, 512}, {2048, 6144}},
     {{16384, 2048}, {16384, 6144}}},
    {"bm_rms_norm_backward_bf16",
     bm_rms_norm_backward<DType::kBFloat16>,
     {},
     {{16384, 2048}, {16384, 6144}}},
    {"bm_silu_forward",
     bm_silu_forward<DType::kFloat32>,
     {{256, 256}, {2048, 1536}},
     {{16384, 6144}}},
    {"bm_silu_forward_bf16", bm_silu_forward<DType::kBFloat16>, {}, {{16384, 6144}}},
    {"bm_silu_backward",
     bm_silu_backward<DType::kFloat32>,
     {{256, 256}, {2048, 1536}},
     {{16384, 6144}}},
    {"bm_silu_backward_bf16", bm_silu_backward<DType::kBFloat16>, {}, {{16384, 6144}}},
    {"bm_swiglu_forward",
     bm_swiglu_forward<DType::kFloat32>,
     {{256, 256}, {2048, 1024}},
     {{32768, 1536}}},
    {"bm_swiglu_forward_bf16", bm_swiglu_forward<DType::kBFloat16>, {}, {{32768, 1536}}},
    {"bm_swiglu_backward",
     bm_swiglu_backward<DType::kFloat32>,
     {{256, 256}, {2048, 1024}},
     {{32768, 1536}}},
    {"bm_swiglu_backward_bf16", bm_swiglu_backward<DType::kBFloat16>, {}, {{32768, 1536}}},
    {"bm_sigmoid_gate_forward",
     bm_sigmoid_gate_forward<DType::kFloat32>,
     {{256, 256}, {2048, 512}},
     {{16384, 2048}}},
    {"bm_sigmoid_gate_forward_bf16",
     bm_sigmoid_gate_forward<DType::kBFloat16>,
     {},
     {{16384, 2048}}},
    {"bm_sigmoid_gate_backward",
     bm_sigmoid_gate_backward<DType::kFloat32>,
     {{256, 256}, {2048, 512}},
     {{16384, 2048}}},
    {"bm_sigmoid_gate_backward_bf16",
     bm_sigmoid_gate_backward<DType::kBFloat16>,
     {},
     {{16384, 2048}}},
    {"bm_scaled_add", bm_scaled_add<DType::kFloat32>, {{256, 256}, {2048, 512}}, {{16384, 2048}}},
    {"bm_scaled_add_bf16", bm_scaled_add<DType::kBFloat16>, {}, {{16384, 2048}}},
    {"bm_embedding_forward",
     bm_embedding_forward<DType::kFloat32>,
     {{256, 256, 256}, {2048, 512, 32000}},
     {{16384, 2048, 32768}}},
    {"bm_embedding_forward_bf16",
     bm_embedding_forward<DType::kBFloat16>,
     {},
     {{16384, 2048, 32768}}},
    {"bm_embedding_backward",
     bm_embedding_backward<DType::kFloat32>,
     {{256, 256, 256}, {2048, 512, 32000}},
     {{16384, 2048, 32768}}},
    {"bm_embedding_backward_bf16",
     bm_embedding_backward<DType::kBFloat16>,
     {},
     {{16384, 2048, 32768}}},
    {"bm_cross_entropy_forward",
     bm_cross_entropy_forward<DType::kFloat32>,
     {{512, 256}, {512, 32000}},
     {{4096, 32768}}},
    {"bm_cross_entropy_forward_bf16",
     bm_cross_entropy_forward<DType::kBFloat16>,
     {},
     {{4096, 32768}}},
    {"bm_cross_entropy_backward",
     bm_cross_entropy_backward<DType::kFloat32>,
     {{512, 256}, {512, 32000}},
     {{4096, 32768}}},
    {"bm_cross_entropy_backward_bf16",
     bm_cross_entropy_backward<DType::kBFloat16>,
     {},
     {{4096, 32768}}},
    {"bm_convert", bm_convert, {}, {{16384, 2048}}},
    {"bm_convert_add", bm_convert_add, {}, {{16384, 2048}}},
    {"bm_adamw", bm_adamw, {{1 << 14}, {1 << 18}, {1 << 23}}, {{1 << 26}}},
    {"bm_sum_of_squares", bm_sum_of_squares, {{1 << 14}, {1 << 18}, {1 << 23}}, {{1 << 26}}},
    {"bm_fill_normal", bm_fill_normal, {{1 << 14}, {1 << 20}}, {{1 << 26}}},
});

}  // namespace
}  // namespace fulgur
