#pragma once

#include "kernels/cuda_softmax_walk.cuh"

// What the kernels of softmax attention on tensor cores share: what happens to tiles of sums in
// registers. A lane has the rows lane / 4 and lane / 4 + 8 ("half") of 16, and of each tile of 8
// columns the two from lane % 4 * 2 on.
namespace fulgur::cuda::softmax {

inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

__device__ inline int column_of(int tile) {
  return tile * 8 + lane() % 4 * 2;
}

// The maximum so far of a row's scores, times log2 e, and the sum of this lane's weights.
struct RowSoFar {
  float maximum = -INFINITY, sum = 0.0f;
};

// Turns the scores of a row, times log2 e, into weights; the row sees the first `seen` of them.
// Returns by how much weights and sums so far are too large.
template <int kTiles>
__device__ __forceinline__ float weigh(Sums (&scores)[kTiles], int half, int seen, RowSoFar& row) {
  if (seen < kTiles * 8) {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        if (column_of(n) + c >= seen) scores[n].c[2 * half + c] = -INFINITY;
      }
    }
  }
  float raised = row.maximum;
#pragma unroll
  for (int n = 0; n < kTiles; ++n)
    raised = fmaxf(raised, fmaxf(scores[n].c[2 * half], scores[n].c[2 * half + 1]));
  raised = fmaxf(raised, __shfl_xor_sync(kAllLanes, raised, 1));
  raised = fmaxf(raised, __shfl_xor_sync(kAllLanes, raised, 2));
  const float base = raised == -INFINITY ? 0.0f : raised;  // nothing is seen yet
  const float shrink = exp2f(row.maximum - base);
  float sum = row.sum * shrink;
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
#pragma unroll
    for (int c = 2 * half; c < 2 * half + 2; ++c) {
      scores[n].c[c] = exp2f(scores[n].c[c] - base);
      sum += scores[n].c[c];
    }
  }
  row = {raised, sum};
  return shrink;
}

template <int kTiles>
__device__ __forceinline__ void scale_row(Sums (&sums)[kTiles], int half, float factor) {
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
    sums[n].c[2 * half] *= factor;
    sums[n].c[2 * half + 1] *= factor;
  }
}

// Writes o and lse of a row that is inside.
template <int kTiles>
__device__ __forceinline__ void write_row(const Args<Bf16>& args, const Sums (&o)[kTiles], int half,
                                          const RowSoFar& row, std::int64_t token,
                                          std::int64_t head, bool inside) {
  float sum = row.sum;
  sum += __shfl_xor_sync(kAllLanes, sum, 1);
  sum += __shfl_xor_sync(kAllLanes, sum, 2);
  if (!inside) return;
  const bool sees_none = sum == 0.0f;  // else it is at least 1, or not a number
  const float inverse = sees_none ? 0.0f : 1.0f / sum;
  Bf16* const to = args.o.row(token, head);
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
    const int column = column_of(n);
    if (column < args.d)
      store_pair(to + column, inverse * o[n].c[2 * half], inverse * o[n].c[2 * half + 1]);
  }
  if (lane() % 4 == 0)
    args.lse[token * args.H + head] = sees_none ? -INFINITY : kLn2 * (row.maximum + log2f(sum));
}

// Adds scale times a row of sums to a gradient.
template <int kTiles>
__device__ __forceinline__ void add_row(const Sums (&sums)[kTiles], int half, float scale,
                                        const Gradient& to, std::int64_t token, std::int64_t head,
                                        int d) {
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
    const int column = column_of(n);
    if (column < d)
      to.add(token, head, column, scale * sums[n].c[2 * half], scale * sums[n].c[2 * half + 1]);
  }
}

// Of a row of queries: lse times log2 e, and delta.
struct RowNumbers {
  __device__ RowNumbers(const BackwardArgs<Bf16>& args, std::int64_t token, std::int64_t head)
      : lse(kLog2E * args.lse[token * args.H + head]), delta(args.delta[token * args.H + head]) {}
  float lse, delta;
};

// dp becomes ds / scale = p (dp - delta) in a row of queries, which sees the first `seen` keys.
template <int kTiles>
__device__ __forceinline__ void make_score_gradients(const Sums (&scores)[kTiles],
                                                     Sums (&dp)[kTiles], int half, int seen,
                                                     float scale, const RowNumbers& row) {
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
#pragma unroll
    for (int c = 2 * half; c < 2 * half + 2; ++c) {
      const float p = exp2f(scale * scores[n].c[c] - row.lse);
      dp[n].c[c] = column_of(n) + c % 2 < seen ? p * (dp[n].c[c] - row.delta) : 0.0f;
    }
  }
}

// scores, whose rows are keys from `top` on and whose columns are queries, become weights.
template <int kTiles, int kKeys>
__device__ __forceinline__ void make_weights(Sums (&scores)[kTiles], int top,
                                             const Sight<kKeys>& sight, float scale,
                                             const float* lse) {
  const bool is_full = sight.is_full(kTiles * 8);
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const int key = top + c / 2 * 8 + lane() / 4, query = column_of(n) + c % 2;
      const float weight = exp2f(scale * scores[n].c[c] - kLog2E * lse[query]);
      scores[n].c[c] = is_full || sight.sees(key, query) ? weight : 0.0f;
    }
  }
}

// dp becomes ds / scale = p (dp - delta), columns being queries.
template <int kTiles>
__device__ __forceinline__ void make_score_gradients(const Sums (&p)[kTiles], Sums (&dp)[kTiles],
                                                     const float* delta) {
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
#pragma unroll
    for (int c = 0; c < 4; ++c)
      dp[n].c[c] = p[n].c[c] * (dp[n].c[c] - delta[column_of(n) + c % 2]);
  }
}

}  // namespace fulgur::cuda::softmax
