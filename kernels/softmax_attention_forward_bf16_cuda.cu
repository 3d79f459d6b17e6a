#include <cuda_runtime.h>

#include "kernels/cuda_softmax_tiles.cuh"

// FlashAttention-2 (arXiv 2307.08691) of bfloat16 on tensor cores, with float32 sums. A thread
// block has kQueries queries of one head, a warp 32 of them; the keys and values that they see come
// by in tiles of kKeys, one tile ahead. Scores, weights and sums stay in registers: the sums of q k
// are, rounded, the operand of the product with v. d is filled up with zeros to kDims, 64 or 128.
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
  RowSoFar rows[kDown][2];
};

__device__ int row_of(int m, int half) {
  return warp() * kOfWarp + 16 * m + 8 * half + lane() / 4;
}

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

// One block per tile of queries and head.
template <int kDims>
__global__ void __launch_bounds__(kNumThreads, 2) forward_kernel(Args<Bf16> args) {
  extern __shared__ uint4 memory[];
  auto& shared = *reinterpret_cast<Shared<kDims>*>(memory);
  const HeadAndTile work(args.H);
  const auto [span, first, num_rows] = find_tile<kQueries>(args, work.from_end);
  if (first < 0) return;
  const auto head = work.head, kv_head = head / (args.H / args.G);
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
  const float scale = args.scale * kLog2E;
  for (std::int64_t key = 0; key < num_keys; key += kKeys) {
    const auto& [k, v] = shared.tiles[key / kKeys % 2];
    wait_for_copies();
    __syncthreads();  // this tile is there, and nobody reads the one before
    begin_tile(key + kKeys);
    Scores scores = {};
    multiply_keys(shared, k, scores);
#pragma unroll
    for (int m = 0; m < kDown; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        scale_row(scores[m], half, scale);
        const auto sees =
            key + kKeys > seen_by_all ? span.num_seen(first + row_of(m, half)) - key : kKeys;
        const int seen = static_cast<int>(min(sees, std::int64_t{kKeys}));
        scale_row(running.o[m], half, weigh(scores[m], half, seen, running.rows[m][half]));
      }
    }
    add_values(scores, v, running);
  }
#pragma unroll
  for (int m = 0; m < kDown; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = row_of(m, half);
      write_row(args, running.o[m], half, running.rows[m][half], first + row, head, row < num_rows);
    }
  }
}

template <int kDims>
void launch_for(const Args<Bf16>& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = sizeof(Shared<kDims>);
  allow_shared_memory(forward_kernel<kDims>, kBytes, operation);
  const auto grid = grid_size(num_query_tiles<kQueries>(args) * args.H);
  forward_kernel<kDims><<<grid, kNumThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace

void forward_anywhere(const Args<Bf16>& args, Stream& stream, const char* operation) {
  if (args.d <= 64) return launch_for<64>(args, stream, operation);
  return launch_for<kMostTensorDims>(args, stream, operation);
}

}  // namespace fulgur::cuda::softmax
