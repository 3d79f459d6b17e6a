#include <cuda_runtime.h>

#include "kernels/cuda_softmax.cuh"

// FlashAttention-2 (arXiv 2307.08691) of bfloat16 on tensor cores, with float32 sums. A thread block has
// kQueries queries of one head, a warp 32 of them; the keys and values that they see come by in tiles of
// kKeys, one tile ahead. Scores, weights and sums stay in registers: the sums of q k are, rounded, the
// operand of the product with v. d is filled up with zeros to kDims, 64 or 128.
namespace fulgur::cuda::softmax {
namespace {

constexpr int kQueries = 128, kKeys = 64;
constexpr int kOfWarp = 32;  // queries: two tiles of 16, which share what is brought of k and v
constexpr int kDown = kOfWarp / 16;
constexpr int kNumThreads = kQueries / kOfWarp * kWarp;

// kDims = 128: (128 + 2 x 2 x 64) x 128 x 2 B = 96 KiB: two blocks on a multiprocessor
template <int kDims>
struct Shared {
  Swizzled<kQueries, kDims> q;
  struct {
    Swizzled<kKeys, kDims> k, v;
  } tiles[2];
};

// Rows of this lane: 16 m + 8 half + lane / 4 of its warp's queries.
template <int kDims>
struct Running {
  Sums o[kDown][kDims / 8] = {};
  float maximum[kDown][2],
      sum[kDown][2] = {};  // the sums of this lane's columns; scores times log2 e
};

using Scores = Sums[kDown][kKeys / 8];

template <int kDims>
__device__ void multiply_keys(const Shared<kDims>& shared, const Swizzled<kKeys, kDims>& k,
                              Scores& scores) {
#pragma unroll
  for (int x = 0; x < kDims; x += 16) {
    A q[kDown];
#pragma unroll
    for (int m = 0; m < kDown; ++m)
      q[m] = load_a(shared.q, warp() * kOfWarp + 16 * m, x);
#pragma unroll
    for (int n = 0; n < kKeys / 8; n += 2) {
      B left, right;
      load_two_b_transposed(k, n * 8, x, left, right);
#pragma unroll
      for (int m = 0; m < kDown; ++m) {
        multiply_add(scores[m][n], q[m], left);
        multiply_add(scores[m][n + 1], q[m], right);
      }
    }
  }
}

// The scores of the keys that a row does not see; `seen` of them it sees.
__device__ void mask(int seen, int half, Sums (&scores)[kKeys / 8]) {
#pragma unroll
  for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      if (n * 8 + lane() % 4 * 2 + c >= seen) scores[n].c[2 * half + c] = -INFINITY;
    }
  }
}

// Turns the scores of a row into weights, and scales down what it has when its maximum rises.
template <int kDims>
__device__ void weigh(Running<kDims>& running, int m, int half, Sums (&scores)[kKeys / 8]) {
  float raised = running.maximum[m][half];
#pragma unroll
  for (int n = 0; n < kKeys / 8; ++n)
    raised = fmaxf(raised, fmaxf(scores[n].c[2 * half], scores[n].c[2 * half + 1]));
  raised = fmaxf(raised, __shfl_xor_sync(kAllLanes, raised, 1));
  raised = fmaxf(raised, __shfl_xor_sync(kAllLanes, raised, 2));
  const float base = raised == -INFINITY ? 0.0f : raised;  // nothing is seen yet
  const float shrink = exp2f(running.maximum[m][half] - base);
  float sum = running.sum[m][half] * shrink;
#pragma unroll
  for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
    for (int c = 2 * half; c < 2 * half + 2; ++c) {
      scores[n].c[c] = exp2f(scores[n].c[c] - base);
      sum += scores[n].c[c];
    }
  }
  running.maximum[m][half] = raised;
  running.sum[m][half] = sum;
#pragma unroll
  for (int n = 0; n < kDims / 8; ++n) {
    running.o[m][n].c[2 * half] *= shrink;
    running.o[m][n].c[2 * half + 1] *= shrink;
  }
}

template <int kDims>
__device__ void add_values(const Scores& weights, const Swizzled<kKeys, kDims>& v,
                           Running<kDims>& running) {
#pragma unroll
  for (int j = 0; j < kKeys; j += 16) {
    A p[kDown];
#pragma unroll
    for (int m = 0; m < kDown; ++m)
      p[m] = pack(weights[m][j / 8], weights[m][j / 8 + 1]);
#pragma unroll
    for (int n = 0; n < kDims / 8; n += 2) {
      B left, right;
      load_two_b(v, j, n * 8, left, right);
#pragma unroll
      for (int m = 0; m < kDown; ++m) {
        multiply_add(running.o[m][n], p[m], left);
        multiply_add(running.o[m][n + 1], p[m], right);
      }
    }
  }
}

template <int kDims>
__device__ void write(const Args<Bf16>& args, const Running<kDims>& running, std::int64_t head,
                      std::int64_t first, int num_rows) {
#pragma unroll
  for (int m = 0; m < kDown; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = running.sum[m][half];
      sum += __shfl_xor_sync(kAllLanes, sum, 1);
      sum += __shfl_xor_sync(kAllLanes, sum, 2);
      const int row = warp() * kOfWarp + 16 * m + 8 * half + lane() / 4;
      if (row >= num_rows) continue;
      const bool sees_none = sum == 0.0f;  // else it is at least 1, or not a number
      const float inverse = sees_none ? 0.0f : 1.0f / sum;
      Bf16* const o = args.o.row(first + row, head);
#pragma unroll
      for (int n = 0; n < kDims / 8; ++n) {
        const int column = n * 8 + lane() % 4 * 2;
        const auto& x = running.o[m][n];
        if (column < args.d)
          store_pair(o + column, inverse * x.c[2 * half], inverse * x.c[2 * half + 1]);
      }
      if (lane() % 4 == 0) {
        const float lse = kLn2 * (running.maximum[m][half] + log2f(sum));
        args.lse[(first + row) * args.H + head] = sees_none ? -INFINITY : lse;
      }
    }
  }
}

// One block per tile of queries and head. Late queries see most keys: they come first.
template <int kDims>
__global__ void __launch_bounds__(kNumThreads, 2) forward_kernel(Args<Bf16> args) {
  extern __shared__ uint4 memory[];
  auto& shared = *reinterpret_cast<Shared<kDims>*>(memory);
  const auto [span, first, num_rows] = find_tile<kQueries>(args, gridDim.x - 1 - blockIdx.x);
  if (first < 0) return;
  const std::int64_t head = blockIdx.y, kv_head = head / (args.H / args.G);
  const auto num_keys = span.num_seen(first + num_rows - 1), seen_by_all = span.num_seen(first);
  const auto begin_tile = [&](std::int64_t key) {
    if (key < num_keys) {
      auto& [k, v] = shared.tiles[key / kKeys % 2];
      begin_rows<kNumThreads>(args.k, kv_head, span.k_begin + key, num_keys - key, args.d, k);
      begin_rows<kNumThreads>(args.v, kv_head, span.k_begin + key, num_keys - key, args.d, v);
    }
  };
  begin_rows<kNumThreads>(args.q, head, first, num_rows, args.d, shared.q);
  begin_tile(0);

  Running<kDims> running;
  for (auto& row : running.maximum)
    row[0] = row[1] = -INFINITY;
  const float scale = args.scale * kLog2E;
  for (std::int64_t key = 0; key < num_keys; key += kKeys) {
    const auto& [k, v] = shared.tiles[key / kKeys % 2];
    wait_for_copies();
    __syncthreads();  // this tile is there, and nobody reads the one before
    begin_tile(key + kKeys);
    Scores scores;
    multiply_keys(shared, k, scores);
#pragma unroll
    for (int m = 0; m < kDown; ++m) {
#pragma unroll
      for (auto& x : scores[m]) {
        for (float& score : x.c)
          score *= scale;
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (key + kKeys > seen_by_all) {
          const auto row = first + warp() * kOfWarp + 16 * m + 8 * half + lane() / 4;
          mask(static_cast<int>(min(span.num_seen(row) - key, std::int64_t{kKeys})), half,
               scores[m]);
        }
        weigh(running, m, half, scores[m]);
      }
    }
    add_values(scores, v, running);
  }
  write(args, running, head, first, num_rows);
}

template <int kDims>
void launch_for(const Args<Bf16>& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = sizeof(Shared<kDims>);
  allow_shared_memory(forward_kernel<kDims>, kBytes, operation);
  const dim3 grid(num_query_tiles<kQueries>(args), static_cast<unsigned>(args.H));
  forward_kernel<kDims><<<grid, kNumThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace

void launch_forward(const Args<Bf16>& args, Stream& stream, const char* operation) {
  if (args.d <= 64) return launch_for<64>(args, stream, operation);
  return launch_for<kMostTensorDims>(args, stream, operation);
}

}  // namespace fulgur::cuda::softmax
