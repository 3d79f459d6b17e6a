// The router and the ways of tokens to their experts and back; see bench.hpp.
#include "kernels/router.hpp"
#include "kernels/token_permutation.hpp"
#include "tests/bench/bench.hpp"

namespace fulgur {
namespace {

using benchmark::State;
using test::Bench;

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
template <DType kDType>
struct PermutationCase {
  PermutationCase(Bench& bench, const State& state)
      : T(state.range(0)),
        C(state.range(1)),
        k(state.range(2)),
        sort{.experts = bench.ints({T, k}, 8),
             .rows = bench.tensor({T, k}, DType::kInt32),
             .slots = bench.tensor({T * k}, DType::kInt32),
             .offsets = bench.tensor({9}, DType::kInt32)},
        x(bench.numbers_of(kDType, {T, C})),
        y(bench.numbers_of(kDType, {T * k, C})),
        weights(bench.floats({T, k})) {
    sort_by_expert(sort, bench.stream);
  }
  std::int64_t T, C, k;
  SortByExpert sort;
  Tensor x, y, weights;
};

void bm_sort_by_expert(State& state) {
  Bench bench(state);
  const PermutationCase<DType::kFloat32> c(bench, state);
  bench.run(sort_by_expert, c.sort);
  bench.moves({c.sort.experts, c.sort.rows, c.sort.slots});
}
template <DType kDType>
void bm_permute_forward(State& state) {
  Bench bench(state);
  const PermutationCase<kDType> c(bench, state);
  bench.run<PermuteForward>(permute_forward, {.x = c.x, .slots = c.sort.slots, .y = c.y, .k = c.k});
  bench.moves({c.x, c.y});
}
template <DType kDType>
void bm_permute_backward(State& state) {
  Bench bench(state);
  const PermutationCase<kDType> c(bench, state);
  bench.run<PermuteBackward>(permute_backward, {.dy = c.y, .rows = c.sort.rows, .dx = c.x});
  bench.moves({c.x, c.y});
}
template <DType kDType>
void bm_combine_forward(State& state) {
  Bench bench(state);
  const PermutationCase<kDType> c(bench, state);
  bench.run<CombineForward>(combine_forward,
                            {.y = c.y, .rows = c.sort.rows, .weights = c.weights, .out = c.x});
  bench.moves({c.x, c.y});
}
template <DType kDType>
void bm_combine_backward(State& state) {
  Bench bench(state);
  const PermutationCase<kDType> c(bench, state);
  const auto dy = bench.tensor(c.y.dims, kDType), dweights = bench.tensor(c.weights.dims);
  bench.run<CombineBackward>(combine_backward, {.dout = c.x,
                                                .y = c.y,
                                                .rows = c.sort.rows,
                                                .slots = c.sort.slots,
                                                .weights = c.weights,
                                                .dy = dy,
                                                .dweights = dweights});
  bench.moves({c.x, c.y, dy});
}

const bool kRegistered = test::register_kernels({
    {"bm_router_forward", bm_router_forward, {{2048, 8, 2}, {2048, 32, 2}}, {{16384, 16, 2}}},
    {"bm_router_backward", bm_router_backward, {{2048, 8, 2}, {2048, 32, 2}}, {{16384, 16, 2}}},
    {"bm_sort_by_expert", bm_sort_by_expert, {{256, 256, 2}, {2048, 512, 2}}, {{16384, 2048, 2}}},
    {"bm_permute_forward",
     bm_permute_forward<DType::kFloat32>,
     {{256, 256, 2}, {2048, 512, 2}},
     {{16384, 2048, 2}}},
    {"bm_permute_forward_bf16", bm_permute_forward<DType::kBFloat16>, {}, {{16384, 2048, 2}}},
    {"bm_permute_backward",
     bm_permute_backward<DType::kFloat32>,
     {{256, 256, 2}, {2048, 512, 2}},
     {{16384, 2048, 2}}},
    {"bm_permute_backward_bf16", bm_permute_backward<DType::kBFloat16>, {}, {{16384, 2048, 2}}},
    {"bm_combine_forward",
     bm_combine_forward<DType::kFloat32>,
     {{256, 256, 2}, {2048, 512, 2}},
     {{16384, 2048, 2}}},
    {"bm_combine_forward_bf16", bm_combine_forward<DType::kBFloat16>, {}, {{16384, 2048, 2}}},
    {"bm_combine_backward",
     bm_combine_backward<DType::kFloat32>,
     {{256, 256, 2}, {2048, 512, 2}},
     {{16384, 2048, 2}}},
    {"bm_combine_backward_bf16", bm_combine_backward<DType::kBFloat16>, {}, {{16384, 2048, 2}}},
});

}  // namespace
}  // namespace fulgur
