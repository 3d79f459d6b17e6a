// The kernels without attention; see bench.hpp.
#include "kernels/activation.hpp"
#include "kernels/adamw.hpp"
#include "kernels/cross_entropy.hpp"
#include "kernels/embedding.hpp"
#include "kernels/grouped_matmul.hpp"
#include "kernels/matmul.hpp"
#include "kernels/random.hpp"
#include "kernels/reduce.hpp"
#include "kernels/rms_norm.hpp"
#include "kernels/router.hpp"
#include "kernels/token_permutation.hpp"
#include "tests/bench/bench.hpp"

namespace fulgur {
namespace {

using benchmark::State;
using test::Bench;

// c = a b^T                                        args: M, N, K
template <DType kDType>
void bm_matmul(State& state) {
  Bench bench(state);
  const auto M = state.range(0), N = state.range(1), K = state.range(2);
  bench.run<MatMul>(matmul, {.a = bench.numbers_of(kDType, {M, K}),
                             .b = bench.numbers_of(kDType, {N, K}),
                             .c = bench.tensor({M, N}, kDType),
                             .transpose_b = Transpose::kYes});
  bench.calculates(2 * M * N * K);
}
// dw += dy^T x, dw in float32                      args: M, N, K
void bm_matmul_weight_gradient_bf16(State& state) {
  Bench bench(state);
  const auto M = state.range(0), N = state.range(1), K = state.range(2);
  bench.run<MatMul>(matmul, {.a = bench.numbers_of(DType::kBFloat16, {M, N}),
                             .b = bench.numbers_of(DType::kBFloat16, {M, K}),
                             .c = bench.floats({N, K}),
                             .transpose_a = Transpose::kYes,
                             .beta = 1.0f});
  bench.calculates(2 * M * N * K);
}

// Equal groups, or skewed ones: each but the last is 0.6 of what is left    args: M, N, K, E, skewed
template <DType kDType>
struct GroupedCase {
  GroupedCase(Bench& bench, const State& state)
      : M(state.range(0)), N(state.range(1)), K(state.range(2)), E(state.range(3)) {
    std::vector<std::int32_t> starts{0};
    for (std::int64_t g = 1; g <= E; ++g) {
      const auto rest = g < E ? (M - starts.back()) * 2 / 5 : 0;
      starts.push_back(static_cast<std::int32_t>(state.range(4) == 0 ? g * M / E : M - rest));
    }
    offsets = bench.numbers({E + 1}, starts);
    x = bench.numbers_of(kDType, {M, K});
    w = bench.numbers_of(kDType, {E, N, K});
    y = bench.numbers_of(kDType, {M, N});
  }
  std::int64_t M, N, K, E;
  Tensor offsets, x, w, y;
};

template <DType kDType>
void bm_grouped_matmul(State& state) {
  Bench bench(state);
  const GroupedCase<kDType> c(bench, state);
  bench.run<GroupedMatMul>(grouped_matmul, {.x = c.x, .w = c.w, .offsets = c.offsets, .y = c.y});
  bench.calculates(2 * c.M * c.N * c.K);
}
template <DType kDType>
void bm_grouped_matmul_input_gradient(State& state) {
  Bench bench(state);
  const GroupedCase<kDType> c(bench, state);
  bench.run<GroupedMatMulInputGradient>(grouped_matmul_input_gradient,
                                        {.dy = c.y, .w = c.w, .offsets = c.offsets, .dx = c.x});
  bench.calculates(2 * c.M * c.N * c.K);
}
template <DType kDType>
void bm_grouped_matmul_weight_gradient(State& state) {
  Bench bench(state);
  const GroupedCase<kDType> c(bench, state);
  const auto dw = bench.tensor(c.w.dims);
  bench.run<GroupedMatMulWeightGradient>(grouped_matmul_weight_gradient,
                                         {.dy = c.y, .x = c.x, .offsets = c.offsets, .dw = dw});
  bench.calculates(2 * c.M * c.N * c.K);
}

// args: T, C
void bm_rms_norm_forward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), C = state.range(1);
  const RmsNormForward args{.x = bench.floats({T, C}),
                            .weight = bench.floats({C}),
                            .y = bench.tensor({T, C}),
                            .rstd = bench.tensor({T})};
  bench.run(rms_norm_forward, args);
  bench.moves({args.x, args.y});
}
void bm_rms_norm_backward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), C = state.range(1);
  const RmsNormBackward args{.dy = bench.floats({T, C}),
                             .x = bench.floats({T, C}),
                             .weight = bench.floats({C}),
                             .rstd = bench.floats({T}),
                             .dx = bench.tensor({T, C}),
                             .dweight = bench.tensor({C})};
  bench.run(rms_norm_backward, args);
  bench.moves({args.dy, args.x, args.dx});
}

// args: T, C; activations of [T, C]
void bm_silu_forward(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const SiluForward args{.x = bench.floats(dims), .y = bench.tensor(dims)};
  bench.run(silu_forward, args);
  bench.moves({args.x, args.y});
}
void bm_silu_backward(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const SiluBackward args{
      .dy = bench.floats(dims), .x = bench.floats(dims), .dx = bench.tensor(dims)};
  bench.run(silu_backward, args);
  bench.moves({args.dy, args.x, args.dx});
}
void bm_swiglu_forward(State& state) {
  Bench bench(state);
  const auto M = state.range(0), F = state.range(1);
  const SwigluForward args{.x = bench.floats({M, 2, F}), .y = bench.tensor({M, F})};
  bench.run(swiglu_forward, args);
  bench.moves({args.x, args.y});
}
void bm_swiglu_backward(State& state) {
  Bench bench(state);
  const auto M = state.range(0), F = state.range(1);
  const SwigluBackward args{
      .dy = bench.floats({M, F}), .x = bench.floats({M, 2, F}), .dx = bench.tensor({M, 2, F})};
  bench.run(swiglu_backward, args);
  bench.moves({args.dy, args.x, args.dx});
}
void bm_sigmoid_gate_forward(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const SigmoidGateForward args{
      .gate = bench.floats(dims), .x = bench.floats(dims), .y = bench.tensor(dims)};
  bench.run(sigmoid_gate_forward, args);
  bench.moves({args.gate, args.x, args.y});
}
void bm_sigmoid_gate_backward(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const SigmoidGateBackward args{.dy = bench.floats(dims),
                                 .gate = bench.floats(dims),
                                 .x = bench.floats(dims),
                                 .dgate = bench.tensor(dims),
                                 .dx = bench.tensor(dims)};
  bench.run(sigmoid_gate_backward, args);
  bench.moves({args.dy, args.gate, args.x, args.dgate, args.dx});
}
void bm_scaled_add(State& state) {
  Bench bench(state);
  const Shape dims{state.range(0), state.range(1)};
  const ScaledAdd args{
      .a = bench.floats(dims), .b = bench.floats(dims), .y = bench.tensor(dims), .alpha = 3.5f};
  bench.run(scaled_add, args);
  bench.moves({args.a, args.b, args.y});
}

// args: T, C, V
void bm_embedding_forward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), C = state.range(1), V = state.range(2);
  const EmbeddingForward args{
      .ids = bench.ints({T}, V), .weight = bench.floats({V, C}), .y = bench.tensor({T, C})};
  bench.run(embedding_forward, args);
  bench.moves({args.ids, args.y, args.y});
}
void bm_embedding_backward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), C = state.range(1), V = state.range(2);
  const EmbeddingBackward args{
      .ids = bench.ints({T}, V), .dy = bench.floats({T, C}), .dweight = bench.tensor({V, C})};
  bench.run(embedding_backward, args);
  bench.moves({args.ids, args.dy, args.dy, args.dy});
}

// args: T, V
void bm_cross_entropy_forward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), V = state.range(1);
  const CrossEntropyForward args{.logits = bench.floats({T, V}),
                                 .labels = bench.ints({T}, V),
                                 .lse = bench.tensor({T}),
                                 .target = bench.tensor({T})};
  bench.run(cross_entropy_forward, args);
  bench.moves({args.logits});
}
// The logits change with every call; the time does not depend on them, for they stay small.
void bm_cross_entropy_backward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), V = state.range(1);
  const CrossEntropyBackward args{.logits = bench.floats({T, V}),
                                  .labels = bench.ints({T}, V),
                                  .lse = bench.floats({T}),
                                  .scale = 1e-3f};
  bench.run(cross_entropy_backward, args);
  bench.moves({args.logits, args.logits});
}

// args: T, E, k
void bm_router_forward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), E = state.range(1), k = state.range(2);
  const RouterForward args{.logits = bench.floats({T, E}),
                           .probabilities = bench.tensor({T, E}),
                           .weights = bench.tensor({T, k}),
                           .experts = bench.tensor({T, k}, DType::kInt32),
                           .counts = bench.tensor({E}, DType::kInt32),
                           .probability_sums = bench.tensor({E}, DType::kFloat64)};
  bench.run(router_forward, args);
  bench.moves({args.logits, args.probabilities});
}
void bm_router_backward(State& state) {
  Bench bench(state);
  const auto T = state.range(0), E = state.range(1), k = state.range(2);
  const RouterBackward args{.dweights = bench.floats({T, k}),
                            .dprobability = bench.floats({E}),
                            .probabilities = bench.floats({T, E}),
                            .weights = bench.floats({T, k}),
                            .experts = bench.ints({T, k}, E),
                            .dlogits = bench.tensor({T, E})};
  bench.run(router_backward, args);
  bench.moves({args.probabilities, args.dlogits});
}

// Assignments to 8 experts, sorted                 args: T, C, k
struct PermutationCase {
  PermutationCase(Bench& bench, const State& state)
      : T(state.range(0)),
        C(state.range(1)),
        k(state.range(2)),
        sort{.experts = bench.ints({T, k}, 8),
             .rows = bench.tensor({T, k}, DType::kInt32),
             .slots = bench.tensor({T * k}, DType::kInt32),
             .offsets = bench.tensor({9}, DType::kInt32)},
        x(bench.floats({T, C})),
        y(bench.floats({T * k, C})),
        weights(bench.floats({T, k})) {
    sort_by_expert(sort, bench.stream);
  }
  std::int64_t T, C, k;
  SortByExpert sort;
  Tensor x, y, weights;
};

void bm_sort_by_expert(State& state) {
  Bench bench(state);
  const PermutationCase c(bench, state);
  bench.run(sort_by_expert, c.sort);
  bench.moves({c.sort.experts, c.sort.rows, c.sort.slots});
}
void bm_permute_forward(State& state) {
  Bench bench(state);
  const PermutationCase c(bench, state);
  bench.run<PermuteForward>(permute_forward, {.x = c.x, .slots = c.sort.slots, .y = c.y, .k = c.k});
  bench.moves({c.x, c.y});
}
void bm_permute_backward(State& state) {
  Bench bench(state);
  const PermutationCase c(bench, state);
  bench.run<PermuteBackward>(permute_backward, {.dy = c.y, .rows = c.sort.rows, .dx = c.x});
  bench.moves({c.x, c.y});
}
void bm_combine_forward(State& state) {
  Bench bench(state);
  const PermutationCase c(bench, state);
  bench.run<CombineForward>(combine_forward,
                            {.y = c.y, .rows = c.sort.rows, .weights = c.weights, .out = c.x});
  bench.moves({c.x, c.y});
}
void bm_combine_backward(State& state) {
  Bench bench(state);
  const PermutationCase c(bench, state);
  const auto dy = bench.tensor(c.y.dims), dweights = bench.tensor(c.weights.dims);
  bench.run<CombineBackward>(combine_backward, {.dout = c.x,
                                                .y = c.y,
                                                .rows = c.sort.rows,
                                                .slots = c.sort.slots,
                                                .weights = c.weights,
                                                .dy = dy,
                                                .dweights = dweights});
  bench.moves({c.x, c.y, dy});
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
// The experts of recipes/bench, and 8 of 6144 x 9216, with equal and with skewed groups.
const std::vector<std::vector<std::int64_t>> kGroupedSizes{{32768, 3072, 2048, 16, 0},
                                                           {32768, 2048, 1536, 16, 0},
                                                           {8192, 9216, 6144, 8, 0},
                                                           {8192, 9216, 6144, 8, 1}};
const bool kRegistered = test::register_kernels({
    {"bm_matmul",
     bm_matmul<DType::kFloat32>,
     {{256, 256, 256}, {1024, 1024, 1024}, {2048, 512, 512}},
     {{16384, 2048, 2048}, {16384, 6144, 2048}}},
    {"bm_matmul_bf16",
     bm_matmul<DType::kBFloat16>,
     {},
     {{16384, 2048, 2048}, {16384, 6144, 2048}, {8192, 9216, 6144}}},
    {"bm_matmul_weight_gradient_bf16",
     bm_matmul_weight_gradient_bf16,
     {},
     {{16384, 2048, 2048}, {16384, 6144, 2048}}},
    {"bm_grouped_matmul",
     bm_grouped_matmul<DType::kFloat32>,
     {{512, 256, 256, 8, 0}, {2048, 1024, 512, 8, 0}},
     {{32768, 3072, 2048, 16, 0}}},
    {"bm_grouped_matmul_bf16", bm_grouped_matmul<DType::kBFloat16>, {}, kGroupedSizes},
    {"bm_grouped_matmul_input_gradient",
     bm_grouped_matmul_input_gradient<DType::kFloat32>,
     {{512, 256, 256, 8, 0}, {2048, 1024, 512, 8, 0}},
     {{32768, 3072, 2048, 16, 0}}},
    {"bm_grouped_matmul_input_gradient_bf16",
     bm_grouped_matmul_input_gradient<DType::kBFloat16>,
     {},
     kGroupedSizes},
    {"bm_grouped_matmul_weight_gradient",
     bm_grouped_matmul_weight_gradient<DType::kFloat32>,
     {{512, 256, 256, 8, 0}, {2048, 1024, 512, 8, 0}},
     {{32768, 3072, 2048, 16, 0}}},
    {"bm_grouped_matmul_weight_gradient_bf16",
     bm_grouped_matmul_weight_gradient<DType::kBFloat16>,
     {},
     kGroupedSizes},
    {"bm_rms_norm_forward",
     bm_rms_norm_forward,
     {{256, 256}, {2048, 512}, {2048, 6144}},
     {{16384, 2048}, {16384, 6144}}},
    {"bm_rms_norm_backward",
     bm_rms_norm_backward,
     {{256, 256}, {2048, 512}, {2048, 6144}},
     {{16384, 2048}, {16384, 6144}}},
    {"bm_silu_forward", bm_silu_forward, {{256, 256}, {2048, 1536}}, {{16384, 6144}}},
    {"bm_silu_backward", bm_silu_backward, {{256, 256}, {2048, 1536}}, {{16384, 6144}}},
    {"bm_swiglu_forward", bm_swiglu_forward, {{256, 256}, {2048, 1024}}, {{32768, 1536}}},
    {"bm_swiglu_backward", bm_swiglu_backward, {{256, 256}, {2048, 1024}}, {{32768, 1536}}},
    {"bm_sigmoid_gate_forward",
     bm_sigmoid_gate_forward,
     {{256, 256}, {2048, 512}},
     {{16384, 2048}}},
    {"bm_sigmoid_gate_backward",
     bm_sigmoid_gate_backward,
     {{256, 256}, {2048, 512}},
     {{16384, 2048}}},
    {"bm_scaled_add", bm_scaled_add, {{256, 256}, {2048, 512}}, {{16384, 2048}}},
    {"bm_embedding_forward",
     bm_embedding_forward,
     {{256, 256, 256}, {2048, 512, 32000}},
     {{16384, 2048, 32768}}},
    {"bm_embedding_backward",
     bm_embedding_backward,
     {{256, 256, 256}, {2048, 512, 32000}},
     {{16384, 2048, 32768}}},
    {"bm_cross_entropy_forward",
     bm_cross_entropy_forward,
     {{512, 256}, {512, 32000}},
     {{4096, 32768}}},
    {"bm_cross_entropy_backward",
     bm_cross_entropy_backward,
     {{512, 256}, {512, 32000}},
     {{4096, 32768}}},
    {"bm_router_forward", bm_router_forward, {{2048, 8, 2}, {2048, 32, 2}}, {{16384, 16, 2}}},
    {"bm_router_backward", bm_router_backward, {{2048, 8, 2}, {2048, 32, 2}}, {{16384, 16, 2}}},
    {"bm_sort_by_expert", bm_sort_by_expert, {{256, 256, 2}, {2048, 512, 2}}, {{16384, 2048, 2}}},
    {"bm_permute_forward", bm_permute_forward, {{256, 256, 2}, {2048, 512, 2}}, {{16384, 2048, 2}}},
    {"bm_permute_backward",
     bm_permute_backward,
     {{256, 256, 2}, {2048, 512, 2}},
     {{16384, 2048, 2}}},
    {"bm_combine_forward", bm_combine_forward, {{256, 256, 2}, {2048, 512, 2}}, {{16384, 2048, 2}}},
    {"bm_combine_backward",
     bm_combine_backward,
     {{256, 256, 2}, {2048, 512, 2}},
     {{16384, 2048, 2}}},
    {"bm_adamw", bm_adamw, {{1 << 14}, {1 << 18}, {1 << 23}}, {{1 << 26}}},
    {"bm_sum_of_squares", bm_sum_of_squares, {{1 << 14}, {1 << 18}, {1 << 23}}, {{1 << 26}}},
    {"bm_fill_normal", bm_fill_normal, {{1 << 14}, {1 << 20}}, {{1 << 26}}},
});

}  // namespace
}  // namespace fulgur
