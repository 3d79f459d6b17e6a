#include <cuda_runtime.h>

#include "kernels/cuda_softmax.cuh"

// The gradients of FlashAttention-2 (arXiv 2307.08691) of bfloat16 on tensor cores, with float32 sums: one
// kernel for dq, whose blocks have queries, and one for dk and dv, whose blocks have keys. So every sum
// has one writer and one order, at the price of seven products where a sum over blocks would take five.
// What comes by is brought one tile ahead. d is filled up with zeros to kDims, 64 or 128.
namespace fulgur::cuda::softmax {
namespace {

// The rows [16, 16] of p (dp - delta), p and dp given, as an operand.
__device__ float score_gradient(float p, float dp, float delta) {
  return p * (dp - delta);
}

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

// Adds scale times the 16 m + 8 half + lane / 4 of a warp's rows, the first of which is `first`.
template <int kDown, int kAcross>
__device__ void add_rows(const Sums (&sums)[kDown][kAcross], float scale, const Gradient& to,
                         std::int64_t head, std::int64_t first, std::int64_t rows, int d) {
#pragma unroll
  for (int m = 0; m < kDown; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = 16 * m + 8 * half + lane() / 4;
      if (row >= rows) continue;
#pragma unroll
      for (int n = 0; n < kAcross; ++n) {
        const int column = n * 8 + lane() % 4 * 2;
        const float left = scale * sums[m][n].c[2 * half],
                    right = scale * sums[m][n].c[2 * half + 1];
        if (column < d) to.add(first + row, head, column, left, right);
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

// Of the rows of a lane.
struct RowNumbers {
  float lse[kDown][2], delta[kDown][2];  // lse times log2 e
  int seen[kDown][2];                    // keys of the tile

  __device__ RowNumbers(const BackwardArgs<Bf16>& args, std::int64_t head, std::int64_t first,
                        int num_rows) {
    for (int m = 0; m < kDown; ++m) {
      for (int half = 0; half < 2; ++half) {
        const int row = row_of(m, half);
        const bool inside = row < num_rows;
        const auto at = (first + (inside ? row : 0)) * args.H + head;
        lse[m][half] = kLog2E * args.lse[at];
        delta[m][half] = args.delta[at];
        seen[m][half] = 0;
      }
    }
  }
  __device__ static int row_of(int m, int half) {
    return warp() * kOfWarp + 16 * m + 8 * half + lane() / 4;
  }
};

template <int kDims>
__global__ void __launch_bounds__(kNumThreads, 2) dq_kernel(BackwardArgs<Bf16> args) {
  extern __shared__ uint4 memory[];
  auto& shared = *reinterpret_cast<Shared<kDims>*>(memory);
  const auto [span, first, num_rows] = find_tile<kQueries>(args, gridDim.x - 1 - blockIdx.x);
  if (first < 0) return;
  const std::int64_t head = blockIdx.y, kv_head = head / (args.H / args.G);
  const auto num_keys = span.num_seen(first + num_rows - 1);
  const auto seen_by_all = num_rows == kQueries ? span.num_seen(first) : 0;
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

  RowNumbers rows(args, head, first, num_rows);
  const float scale = args.scale * kLog2E;
  Sums dq[kDown][kDims / 8];
  for (std::int64_t key = 0; key < num_keys; key += kKeys) {
    const auto& [k, v] = shared.tiles[key / kKeys % 2];
    wait_for_copies();
    __syncthreads();  // this tile is there, and nobody reads the one before
    begin_tile(key + kKeys);
    Sums p[kDown][kKeys / 8], dp[kDown][kKeys / 8];
    multiply_rows(shared.q, warp() * kOfWarp, k, p);
    multiply_rows(shared.dout, warp() * kOfWarp, v, dp);
    const bool all_see = key + kKeys <= seen_by_all;
#pragma unroll
    for (int m = 0; m < kDown; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = RowNumbers::row_of(m, half);
        const auto seen = row < num_rows ? span.num_seen(first + row) - key : 0;
        rows.seen[m][half] = static_cast<int>(min(seen, std::int64_t{kKeys}));
      }
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          const bool sees = all_see || n * 8 + lane() % 4 * 2 + c % 2 < rows.seen[m][c / 2];
          const float weight = exp2f(scale * p[m][n].c[c] - rows.lse[m][c / 2]);
          dp[m][n].c[c] = sees ? score_gradient(weight, dp[m][n].c[c], rows.delta[m][c / 2]) : 0.0f;
        }
      }
    }
    add_weighted(dp, k, dq);
  }
  const int top = warp() * kOfWarp;
  add_rows(dq, args.scale, args.dq, head, first + top, num_rows - top, args.d);
}

template <int kDims>
void launch(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = sizeof(Shared<kDims>);
  allow_shared_memory(dq_kernel<kDims>, kBytes, operation);
  const dim3 grid(num_query_tiles<kQueries>(args), static_cast<unsigned>(args.H));
  dq_kernel<kDims><<<grid, kNumThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace queries

// For dk and dv: a warp has 16 keys, whose scores are calculated transposed, so that the rows of sums are
// those of dk and dv.
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

// The tiles of queries that see keys from `first` on, head by head of the KV head's group, span by span.
class Walk {
 public:
  __device__ Walk(const BackwardArgs<Bf16>& args, std::int64_t first, std::int64_t num_rows,
                  std::int64_t kv_head)
      : args_(args), first_(first), end_(first + num_rows), group_(args.H / args.G) {
    first_head_ = head = kv_head * group_;
    next_span();
  }

  __device__ bool is_over() const { return index_ >= args_.num_spans; }
  __device__ void next() {
    if (++head < first_head_ + group_) return;
    head = first_head_;
    query += kQueries;
    if (query >= span.q_end) next_span();
  }

  Span span;
  std::int64_t query, head;

 private:
  __device__ void next_span() {
    while (++index_ < args_.num_spans) {
      span = args_.span(index_);
      if (span.k_end <= first_ || span.k_begin >= end_) continue;
      // The first query that sees the first of these keys.
      const auto skipped = max(std::int64_t{0}, first_ - span.k_begin - span.shift);
      query = span.q_begin + skipped / kQueries * kQueries;
      if (query < span.q_end) return;
    }
  }

  const BackwardArgs<Bf16>& args_;
  std::int64_t first_, end_, group_, first_head_, index_ = -1;
};

// Which of the block's keys the queries of a tile see: key r and query c with r <= c + diagonal, r inside
// [begin, end) and c < columns.
struct Sight {
  __device__ Sight(const Span& span, std::int64_t first_key, std::int64_t query) {
    const auto in_tile = [](std::int64_t x) {
      return static_cast<int>(max(std::int64_t{-kKeys}, min(x, std::int64_t{kKeys})));
    };
    diagonal = in_tile(query - span.q_begin + span.shift - (first_key - span.k_begin));
    begin = in_tile(span.k_begin - first_key);
    end = in_tile(span.k_end - first_key);
    columns = in_tile(span.q_end - query);
  }
  __device__ bool is_full() const {
    return diagonal >= kKeys - 1 && begin <= 0 && end >= kKeys && columns >= kQueries;
  }
  __device__ bool sees(int key, int query) const {
    return key <= query + diagonal && key >= begin && key < end && query < columns;
  }
  int diagonal, begin, end, columns;
};

template <int kDims>
__device__ void begin_tile(const BackwardArgs<Bf16>& args, const Walk& walk,
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
  const std::int64_t first = std::int64_t{blockIdx.x} * kKeys, kv_head = blockIdx.y;
  const auto num_rows = min(args.S - first, std::int64_t{kKeys});
  Walk walk(args, first, num_rows, kv_head);
  if (walk.is_over()) return;
  begin_rows<kNumThreads>(args.k, kv_head, first, num_rows, args.d, shared.k);
  begin_rows<kNumThreads>(args.v, kv_head, first, num_rows, args.d, shared.v);
  begin_tile<kDims>(args, walk, shared.tiles[0]);

  const int top = warp() * kOfWarp;
  const float scale = args.scale * kLog2E;
  Sums dk[1][kDims / 8], dv[1][kDims / 8];
  for (int number = 0; !walk.is_over(); ++number) {
    const auto& tile = shared.tiles[number % 2];
    const Sight sight(walk.span, first, walk.query);
    wait_for_copies();
    __syncthreads();  // this tile is there, and nobody reads the one before
    walk.next();
    if (!walk.is_over()) begin_tile<kDims>(args, walk, shared.tiles[(number + 1) % 2]);

    Sums p[1][kQueries / 8];
    multiply_rows(shared.k, top, tile.q, p);
    const bool is_full = sight.is_full();
#pragma unroll
    for (int n = 0; n < kQueries / 8; ++n) {
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int key = top + c / 2 * 8 + lane() / 4, query = n * 8 + lane() % 4 * 2 + c % 2;
        const float weight = exp2f(scale * p[0][n].c[c] - kLog2E * tile.lse[query]);
        p[0][n].c[c] = is_full || sight.sees(key, query) ? weight : 0.0f;
      }
    }
    add_weighted(p, tile.dout, dv);
    Sums dp[1][kQueries / 8];
    multiply_rows(shared.v, top, tile.dout, dp);
#pragma unroll
    for (int n = 0; n < kQueries / 8; ++n) {
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int query = n * 8 + lane() % 4 * 2 + c % 2;
        dp[0][n].c[c] = score_gradient(p[0][n].c[c], dp[0][n].c[c], tile.delta[query]);
      }
    }
    add_weighted(dp, tile.q, dk);
  }
  add_rows(dk, args.scale, args.dk, kv_head, first + top, num_rows - top, args.d);
  add_rows(dv, 1.0f, args.dv, kv_head, first + top, num_rows - top, args.d);
}

template <int kDims>
void launch(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = sizeof(Shared<kDims>);
  allow_shared_memory(dk_dv_kernel<kDims>, kBytes, operation);
  const dim3 grid(grid_size(divide_up(args.S, kKeys)), static_cast<unsigned>(args.G));
  dk_dv_kernel<kDims><<<grid, kNumThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace keys

}  // namespace

void launch_backward(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation) {
  if (args.d <= 64) {
    queries::launch<64>(args, stream, operation);
    keys::launch<64>(args, stream, operation);
  } else {
    queries::launch<kMostTensorDims>(args, stream, operation);
    keys::launch<kMostTensorDims>(args, stream, operation);
  }
}

}  // namespace fulgur::cuda::softmax
