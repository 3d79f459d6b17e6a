#include <cuda_runtime.h>

#include "kernels/cuda_softmax_tiles.cuh"

// The gradients of FlashAttention-2 (arXiv 2307.08691) of bfloat16 on tensor cores, with float32
// sums: one kernel for dq, whose blocks have queries, and one for dk and dv, whose blocks have
// keys. So every sum has one writer and one order, at the price of seven products where a sum over
// blocks would take five. What comes by is brought one tile ahead. d is filled up with zeros to
// kDims, 64 or 128.
namespace fulgur::cuda::softmax {
namespace {

// sums[m][n] += a[row + 16 m ...][:] b[8 n ...][:]^T over all columns
template <int kDown, int kAcross, class Left, int kRows, int kDims>
__device__ void multiply_rows(const Left& a, int row, const Swizzled<kRows, kDims>& b,
                              Sums (&sums)[kDown][kAcross]) {
#pragma unroll
  for (int x = 0; x < kDims; x += 16) {
    A of_a[kDown];
#pragma unroll
    for (int m = 0; m < kDown; ++m)
      of_a[m] = load_a(a, row + 16 * m, x);
#pragma unroll
    for (int n = 0; n < kAcross; n += 2) {
      B left, right;
      load_two_b_transposed(b, n * 8, x, left, right);
#pragma unroll
      for (int m = 0; m < kDown; ++m) {
        multiply_add(sums[m][n], of_a[m], left);
        multiply_add(sums[m][n + 1], of_a[m], right);
      }
    }
  }
}

// sums += weights b, the weights rounded
template <int kDown, int kAcross, int kRows, int kDims>
__device__ void add_weighted(const Sums (&weights)[kDown][kAcross], const Swizzled<kRows, kDims>& b,
                             Sums (&sums)[kDown][kDims / 8]) {
  static_assert(kAcross * 8 == kRows);
#pragma unroll
  for (int j = 0; j < kRows; j += 16) {
    A of_weights[kDown];
#pragma unroll
    for (int m = 0; m < kDown; ++m)
      of_weights[m] = pack(weights[m][j / 8], weights[m][j / 8 + 1]);
#pragma unroll
    for (int n = 0; n < kDims / 8; n += 2) {
      B left, right;
      load_two_b(b, j, n * 8, left, right);
#pragma unroll
      for (int m = 0; m < kDown; ++m) {
        multiply_add(sums[m][n], of_weights[m], left);
        multiply_add(sums[m][n + 1], of_weights[m], right);
      }
    }
  }
}

// For dq: a warp has 32 queries, in two tiles of 16, which share what is brought of k and v.
namespace queries {

constexpr int kQueries = 128, kKeys = 32;
constexpr int kOfWarp = 32, kDown = kOfWarp / 16;
constexpr int kNumThreads = kQueries / kOfWarp * kWarp;

// kDims = 128: (2 x 128 + 2 x 2 x 32) x 128 x 2 B = 96 KiB: two blocks on a multiprocessor
template <int kDims>
struct Shared {
  Swizzled<kQueries, kDims> q, dout;
  struct {
    Swizzled<kKeys, kDims> k, v;
  } tiles[2];
};

__device__ int row_of(int m, int half) {
  return warp() * kOfWarp + 16 * m + 8 * half + lane() / 4;
}

template <int kDims>
__global__ void __launch_bounds__(kNumThreads, 2) dq_kernel(BackwardArgs<Bf16> args) {
  extern __shared__ uint4 memory[];
  auto& shared = *reinterpret_cast<Shared<kDims>*>(memory);
  const HeadAndTile work(args.H);
  const auto [span, first, num_rows] = find_tile<kQueries>(args, work.from_end);
  if (first < 0) return;
  const auto head = work.head, kv_head = head / (args.H / args.G);
  const auto num_keys = span.num_seen(first + num_rows - 1);
  const auto seen_by_all = span.num_seen(first);
  const auto begin_tile = [&](std::int64_t key) {
    if (key < num_keys) {
      auto& [k, v] = shared.tiles[key / kKeys % 2];
      begin_rows<kNumThreads>(args.k, kv_head, span.k_begin + key, num_keys - key, args.d, k);
      begin_rows<kNumThreads>(args.v, kv_head, span.k_begin + key, num_keys - key, args.d, v);
    }
  };
  begin_rows<kNumThreads>(args.q, head, first, num_rows, args.d, shared.q);
  begin_rows<kNumThreads>(args.dout, head, first, num_rows, args.d, shared.dout);
  begin_tile(0);

  const float scale = args.scale * kLog2E;
  Sums dq[kDown][kDims / 8] = {};
  for (std::int64_t key = 0; key < num_keys; key += kKeys) {
    const auto& [k, v] = shared.tiles[key / kKeys % 2];
    wait_for_copies();
    __syncthreads();  // this tile is there, and nobody reads the one before
    begin_tile(key + kKeys);
    Sums p[kDown][kKeys / 8] = {}, dp[kDown][kKeys / 8] = {};
    multiply_rows(shared.q, warp() * kOfWarp, k, p);
    multiply_rows(shared.dout, warp() * kOfWarp, v, dp);
#pragma unroll
    for (int m = 0; m < kDown; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const auto token = first + min(row_of(m, half), num_rows - 1);
        const auto sees = key + kKeys > seen_by_all ? span.num_seen(token) - key : kKeys;
        const int seen = static_cast<int>(min(sees, std::int64_t{kKeys}));
        make_score_gradients(p[m], dp[m], half, seen, scale, RowNumbers(args, token, head));
      }
    }
    add_weighted(dp, k, dq);
  }
#pragma unroll
  for (int m = 0; m < kDown; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = row_of(m, half);
      if (row < num_rows) add_row(dq[m], half, args.scale, args.dq, first + row, head, args.d);
    }
  }
}

template <int kDims>
void launch(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = sizeof(Shared<kDims>);
  allow_shared_memory(dq_kernel<kDims>, kBytes, operation);
  const auto grid = grid_size(num_query_tiles<kQueries>(args) * args.H);
  dq_kernel<kDims><<<grid, kNumThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace queries

// For dk and dv: a warp has 16 keys, whose scores are calculated transposed, so that the rows of
// sums are those of dk and dv.
namespace keys {

constexpr int kKeys = 128, kQueries = 64;
constexpr int kOfWarp = 16;
constexpr int kNumThreads = kKeys / kOfWarp * kWarp;

// kDims = 128: (2 x 128 + 2 x 2 x 64) x 128 x 2 B + 2 x 2 x 64 x 4 B = 129 KiB
template <int kDims>
struct Shared {
  Swizzled<kKeys, kDims> k, v;
  struct {
    Swizzled<kQueries, kDims> q, dout;
    float lse[kQueries], delta[kQueries];
  } tiles[2];
};

template <int kDims>
__device__ void begin_tile(const BackwardArgs<Bf16>& args, const Walk<kQueries>& walk,
                           decltype(Shared<kDims>::tiles[0])& to) {
  const auto rows = walk.span.q_end - walk.query;
  begin_rows<kNumThreads>(args.q, walk.head, walk.query, rows, args.d, to.q);
  begin_rows<kNumThreads>(args.dout, walk.head, walk.query, rows, args.d, to.dout);
  const int row = static_cast<int>(threadIdx.x) % kQueries;
  const bool inside = row < rows;
  const auto at = (walk.query + (inside ? row : 0)) * args.H + walk.head;
  if (threadIdx.x < kQueries) begin_copy<4>(&to.lse[row], args.lse + at, inside);
  if (threadIdx.x / kQueries == 1) begin_copy<4>(&to.delta[row], args.delta + at, inside);
}

template <int kDims>
__global__ void __launch_bounds__(kNumThreads, 1) dk_dv_kernel(BackwardArgs<Bf16> args) {
  extern __shared__ uint4 memory[];
  auto& shared = *reinterpret_cast<Shared<kDims>*>(memory);
  const HeadAndTile work(args.G);
  const auto first = work.from_begin * kKeys, kv_head = work.head;
  const auto num_rows = min(args.S - first, std::int64_t{kKeys});
  Walk<kQueries> walk(args, first, num_rows, kv_head);
  if (walk.is_over()) return;
  begin_rows<kNumThreads>(args.k, kv_head, first, num_rows, args.d, shared.k);
  begin_rows<kNumThreads>(args.v, kv_head, first, num_rows, args.d, shared.v);
  begin_tile<kDims>(args, walk, shared.tiles[0]);

  const int top = warp() * kOfWarp;
  const float scale = args.scale * kLog2E;
  Sums dk[1][kDims / 8] = {}, dv[1][kDims / 8] = {};
  for (int number = 0; !walk.is_over(); ++number) {
    const auto& tile = shared.tiles[number % 2];
    const Sight<kKeys> sight(walk.span, first, walk.query);
    wait_for_copies();
    __syncthreads();  // this tile is there, and nobody reads the one before
    walk.next();
    if (!walk.is_over()) begin_tile<kDims>(args, walk, shared.tiles[(number + 1) % 2]);

    Sums p[1][kQueries / 8] = {};
    multiply_rows(shared.k, top, tile.q, p);
    make_weights(p[0], top, sight, scale, tile.lse);
    add_weighted(p, tile.dout, dv);
    Sums dp[1][kQueries / 8] = {};
    multiply_rows(shared.v, top, tile.dout, dp);
    make_score_gradients(p[0], dp[0], tile.delta);
    add_weighted(dp, tile.q, dk);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const auto row = top + 8 * half + lane() / 4;
    if (row >= num_rows) continue;
    add_row(dk[0], half, args.scale, args.dk, first + row, kv_head, args.d);
    add_row(dv[0], half, 1.0f, args.dv, first + row, kv_head, args.d);
  }
}

template <int kDims>
void launch(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = sizeof(Shared<kDims>);
  allow_shared_memory(dk_dv_kernel<kDims>, kBytes, operation);
  const auto grid = grid_size(divide_up(args.S, kKeys) * args.G);
  dk_dv_kernel<kDims><<<grid, kNumThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace keys

}  // namespace

void backward_anywhere(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation) {
  if (args.d <= 64) {
    queries::launch<64>(args, stream, operation);
    keys::launch<64>(args, stream, operation);
  } else {
    queries::launch<kMostTensorDims>(args, stream, operation);
    keys::launch<kMostTensorDims>(args, stream, operation);
  }
}

}  // namespace fulgur::cuda::softmax
