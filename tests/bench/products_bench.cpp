// Matrix products; see bench.hpp.
#include "kernels/grouped_matmul.hpp"
#include "kernels/matmul.hpp"
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
});

}  // namespace
}  // namespace fulgur
