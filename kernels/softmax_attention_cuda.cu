#include <cuda_runtime.h>

#include "kernels/cuda_heads.cuh"
#include "kernels/softmax_attention_impl.hpp"

// FlashAttention-2 (arXiv 2307.08691) in plain float32, on tiles of kTile queries by kTile keys. A warp has
// kRows rows of its block's tile (queries, or keys in the pass for dk and dv); in products over d, a lane
// has one column of the tile; in sums over the tile, a lane has the columns lane + 32 n of a head.
//
//   T queries, S keys, H heads, G KV heads, d head size, P spans
namespace fulgur::cuda {
namespace {

constexpr int kTile = 32;
constexpr int kRows = kTile / (kThreads / kWarp);
static_assert(kTile == kWarp);

struct Span {
  std::int64_t q_begin, q_end, k_begin, k_end, shift;

  // The keys, counted from k_begin, that query i sees: the first so many.
  __device__ std::int64_t num_seen(std::int64_t query) const {
    const auto seen = query - q_begin + shift + 1;
    return max(std::int64_t{0}, min(seen, k_end - k_begin));
  }
};

struct Args {
  Heads q, k, v, o;
  float* lse;
  const std::int32_t* spans;
  std::int64_t T, S, H, G, num_spans;
  int d;
  float scale;

  __device__ Span span(std::int64_t index) const {
    const auto* x = spans + 5 * index;
    const Span span{x[0], x[1], x[2], x[3], x[4]};
    require(span.q_begin >= 0 && span.q_begin <= span.q_end && span.q_end <= T);
    require(span.k_begin >= 0 && span.k_begin <= span.k_end && span.k_end <= S);
    return span;
  }
};
struct BackwardArgs : Args {
  Heads dout, dq, dk, dv;
  const float* delta;  // [T, H]: do_i o_i
};

struct QueryTile {
  Span span;
  std::int64_t first;  // query; -1: there is no such tile
  int rows;
};

// The tile of queries number `tile`, counted over all spans.
__device__ QueryTile find_tile(const Args& args, std::int64_t tile) {
  __shared__ QueryTile found;
  if (threadIdx.x == 0) {
    found.first = -1;
    for (std::int64_t p = 0; p < args.num_spans && tile >= 0; ++p) {
      const auto span = args.span(p);
      const auto num_tiles = divide_up(span.q_end - span.q_begin, kTile);
      const auto first = span.q_begin + tile * kTile;
      if (tile < num_tiles)
        found = {span, first, static_cast<int>(min(span.q_end - first, std::int64_t{kTile}))};
      tile -= num_tiles;
    }
  }
  __syncthreads();
  return found;
}

__device__ void load_tile(const Heads& x, std::int64_t head, std::int64_t first, std::int64_t rows,
                          int d, float* to) {
  load_rows<kTile>(x, head, first, 1, static_cast<int>(min(rows, std::int64_t{kTile})), 0, d, d,
                   d + 1, to);
}

// products[i] = the row i of this warp in `rows` times the lane's row of `columns`; [kTile, d + 1] both.
__device__ void multiply_rows(const float* rows, const float* columns, int d,
                              float (&products)[kRows]) {
  const auto warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const float *row = rows + warp * kRows * (d + 1), *column = columns + lane * (d + 1);
  for (int i = 0; i < kRows; ++i)
    products[i] = 0;
  for (int x = 0; x < d; ++x) {
    const float y = column[x];
    for (int i = 0; i < kRows; ++i)
      products[i] += row[i * (d + 1) + x] * y;
  }
}

// The kRows rows of a warp, each cut over the lanes: at[i][n] is column lane + 32 n of row i.
template <int kColumns>
struct Rows {
  float at[kRows][kColumns] = {};

  // += weights (a row's weights lie in the lanes of the warp) times the rows of x, [kTile, d + 1]
  __device__ void add(const float (&weights)[kRows], const float* x, int d) {
    const auto lane = threadIdx.x % kWarp;
    for (int j = 0; j < kTile; ++j) {
      float weight[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        weight[i] = __shfl_sync(kAllLanes, weights[i], j);
#pragma unroll
      for (int n = 0; n < kColumns; ++n) {
        const auto c = lane + kWarp * n;
        const float value = c < d ? x[j * (d + 1) + c] : 0.0f;
#pragma unroll
        for (int i = 0; i < kRows; ++i)
          at[i][n] += weight[i] * value;
      }
    }
  }

  // to[column] = change(to[column], the element) for row i
  template <class Change>
  __device__ void write(int i, float* to, int d, const Change& change) const {
#pragma unroll
    for (int n = 0; n < kColumns; ++n) {
      const int c = static_cast<int>(threadIdx.x % kWarp) + kWarp * n;
      if (c < d) to[c] = change(to[c], at[i][n]);
    }
  }
};

__device__ float add_numbers(float a, float b) {
  return a + b;
}

__global__ void see_nothing_kernel(Args args) {
  const auto t = std::int64_t{blockIdx.x};
  for (std::int64_t h = threadIdx.x / kWarp; h < args.H; h += kThreads / kWarp) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    float* o = args.o.row(t, h);
    for (int c = lane; c < args.d; c += kWarp)
      o[c] = 0.0f;
    if (lane == 0) args.lse[t * args.H + h] = -INFINITY;
  }
}

// One block per tile of queries and head.
template <int kColumns>
__global__ void forward_kernel(Args args) {
  extern __shared__ float memory[];  // q, k, v: [kTile, d + 1] each
  const int d = args.d;
  float *q = memory, *k = q + kTile * (d + 1), *v = k + kTile * (d + 1);
  const auto [span, first, num_rows] = find_tile(args, blockIdx.x);
  if (first < 0) return;
  const std::int64_t head = blockIdx.y, kv_head = head / (args.H / args.G);
  const int warp_row = static_cast<int>(threadIdx.x) / kWarp * kRows;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  load_tile(args.q, head, first, num_rows, d, q);

  Rows<kColumns> sums;
  float maximum[kRows], sum[kRows] = {};
  for (float& value : maximum)
    value = -INFINITY;
  const auto num_keys = span.num_seen(first + num_rows - 1);
  for (std::int64_t key = 0; key < num_keys; key += kTile) {
    __syncthreads();
    load_tile(args.k, kv_head, span.k_begin + key, num_keys - key, d, k);
    load_tile(args.v, kv_head, span.k_begin + key, num_keys - key, d, v);
    __syncthreads();
    float weights[kRows];
    multiply_rows(q, k, d, weights);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const bool sees = key + lane < span.num_seen(first + warp_row + i);
      const float score = sees ? args.scale * weights[i] : -INFINITY;
      const float raised = fmaxf(maximum[i], warp_max(score));
      const bool sees_any = raised != -INFINITY;
      const float shrink = sees_any ? expf(maximum[i] - raised) : 1.0f;
      weights[i] = sees ? expf(score - raised) : 0.0f;
      sum[i] = sum[i] * shrink + warp_sum(weights[i]);
      maximum[i] = raised;
#pragma unroll
      for (int n = 0; n < kColumns; ++n)
        sums.at[i][n] *= shrink;
    }
    sums.add(weights, v, d);
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    if (warp_row + i >= num_rows) continue;
    const auto token = first + warp_row + i;
    const bool sees_none = sum[i] == 0.0f;  // else it is at least 1, or not a number
    const float inverse = sees_none ? 0.0f : 1.0f / sum[i];
    sums.write(i, args.o.row(token, head), d, [&](float, float x) { return x * inverse; });
    if (lane == 0)
      args.lse[token * args.H + head] = sees_none ? -INFINITY : maximum[i] + logf(sum[i]);
  }
}

// delta_i = do_i o_i, one warp per token and head.
__global__ void delta_kernel(Heads dout, Heads o, float* delta, std::int64_t H, int d) {
  const auto t = std::int64_t{blockIdx.x};
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (std::int64_t h = threadIdx.x / kWarp; h < H; h += kThreads / kWarp) {
    const float *a = dout.row(t, h), *b = o.row(t, h);
    float sum = 0;
    for (int c = lane; c < d; c += kWarp)
      sum += a[c] * b[c];
    sum = warp_sum(sum);
    if (lane == 0) delta[t * H + h] = sum;
  }
}

// One block per tile of queries and head.
template <int kColumns>
__global__ void dq_kernel(BackwardArgs args) {
  extern __shared__ float memory[];  // q, dout, k, v: [kTile, d + 1] each
  const int d = args.d, size = kTile * (d + 1);
  float *q = memory, *dout = q + size, *k = dout + size, *v = k + size;
  const auto [span, first, num_rows] = find_tile(args, blockIdx.x);
  if (first < 0) return;
  const std::int64_t head = blockIdx.y, kv_head = head / (args.H / args.G);
  const int warp_row = static_cast<int>(threadIdx.x) / kWarp * kRows;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  load_tile(args.q, head, first, num_rows, d, q);
  load_tile(args.dout, head, first, num_rows, d, dout);

  Rows<kColumns> dq;
  const auto num_keys = span.num_seen(first + num_rows - 1);
  for (std::int64_t key = 0; key < num_keys; key += kTile) {
    __syncthreads();
    load_tile(args.k, kv_head, span.k_begin + key, num_keys - key, d, k);
    load_tile(args.v, kv_head, span.k_begin + key, num_keys - key, d, v);
    __syncthreads();
    float scores[kRows], gradients[kRows];
    multiply_rows(q, k, d, scores);
    multiply_rows(dout, v, d, gradients);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const auto token = first + warp_row + i;
      const bool sees = warp_row + i < num_rows && key + lane < span.num_seen(token);
      const auto at = sees ? token * args.H + head : 0;
      const float p = sees ? expf(args.scale * scores[i] - args.lse[at]) : 0.0f;
      gradients[i] = sees ? args.scale * p * (gradients[i] - args.delta[at]) : 0.0f;
    }
    dq.add(gradients, k, d);
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    if (warp_row + i < num_rows)
      dq.write(i, args.dq.row(first + warp_row + i, head), d, add_numbers);
  }
}

// One block per tile of keys and KV head; all queries that see the keys come by, span by span.
template <int kColumns>
__global__ void dk_dv_kernel(BackwardArgs args) {
  extern __shared__ float memory[];  // k, v, q, dout: [kTile, d + 1] each
  const int d = args.d, size = kTile * (d + 1);
  float *k = memory, *v = k + size, *q = v + size, *dout = q + size;
  const std::int64_t first = std::int64_t{blockIdx.x} * kTile, kv_head = blockIdx.y;
  const auto num_rows = static_cast<int>(min(args.S - first, std::int64_t{kTile}));
  const int warp_row = static_cast<int>(threadIdx.x) / kWarp * kRows;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const auto group = args.H / args.G;
  load_tile(args.k, kv_head, first, num_rows, d, k);
  load_tile(args.v, kv_head, first, num_rows, d, v);

  Rows<kColumns> dk, dv;
  for (std::int64_t s = 0; s < args.num_spans; ++s) {
    const auto span = args.span(s);
    if (span.k_end <= first || span.k_begin >= first + num_rows) continue;
    // The first query that sees the first of these keys.
    const auto skipped = max(std::int64_t{0}, first - span.k_begin - span.shift);
    for (auto query = span.q_begin + skipped / kTile * kTile; query < span.q_end; query += kTile) {
      for (auto head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        __syncthreads();
        load_tile(args.q, head, query, span.q_end - query, d, q);
        load_tile(args.dout, head, query, span.q_end - query, d, dout);
        __syncthreads();
        float weights[kRows], gradients[kRows];
        multiply_rows(k, q, d, weights);
        multiply_rows(v, dout, d, gradients);
        const auto token = query + lane;
        const bool has_query = token < span.q_end;
        const auto end = has_query ? span.k_begin + span.num_seen(token) : 0;
        const auto at = has_query ? token * args.H + head : 0;
        const float lse = args.lse[at], delta = args.delta[at];
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
          const auto key = first + warp_row + i;
          const bool sees = key >= span.k_begin && key < end;
          weights[i] = sees ? expf(args.scale * weights[i] - lse) : 0.0f;
          gradients[i] = sees ? args.scale * weights[i] * (gradients[i] - delta) : 0.0f;
        }
        dv.add(weights, dout, d);
        dk.add(gradients, q, d);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    if (warp_row + i >= num_rows) continue;
    dk.write(i, args.dk.row(first + warp_row + i, kv_head), d, add_numbers);
    dv.write(i, args.dv.row(first + warp_row + i, kv_head), d, add_numbers);
  }
}

// As many tiles of queries as any spans could have.
unsigned num_query_tiles(const Args& args) {
  return grid_size(args.T / kTile + args.num_spans);
}

std::size_t tile_bytes(const Args& args, std::size_t num_tiles) {
  return num_tiles * kTile * static_cast<std::size_t>(args.d + 1) * sizeof(float);
}

template <int kColumns>
void launch_forward(const Args& args, Stream& stream) {
  const dim3 grid(num_query_tiles(args), static_cast<unsigned>(args.H));
  const auto bytes = tile_bytes(args, 3);
  allow_shared_memory(forward_kernel<kColumns>, bytes, "softmax_attention_forward");
  forward_kernel<kColumns><<<grid, kThreads, bytes, native(stream)>>>(args);
  check_launch("softmax_attention_forward");
}

template <int kColumns>
void launch_backward(const BackwardArgs& args, Stream& stream) {
  const auto bytes = tile_bytes(args, 4);
  const dim3 queries(num_query_tiles(args), static_cast<unsigned>(args.H));
  allow_shared_memory(dq_kernel<kColumns>, bytes, "softmax_attention_backward");
  dq_kernel<kColumns><<<queries, kThreads, bytes, native(stream)>>>(args);
  check_launch("softmax_attention_backward");
  const dim3 keys(grid_size(divide_up(args.S, kTile)), static_cast<unsigned>(args.G));
  allow_shared_memory(dk_dv_kernel<kColumns>, bytes, "softmax_attention_backward");
  dk_dv_kernel<kColumns><<<keys, kThreads, bytes, native(stream)>>>(args);
  check_launch("softmax_attention_backward");
}

// Calls launch.operator()<kColumns>() with enough columns of a lane for the head size.
template <class Launch>
void with_columns(int d, const char* operation, const Launch& launch) {
  if (d <= 32) return launch.template operator()<1>();
  if (d <= 64) return launch.template operator()<2>();
  if (d <= 128) return launch.template operator()<4>();
  if (d <= 256) return launch.template operator()<8>();
  throw std::invalid_argument(std::string(operation) + ": q: expected a head size up to 256, got " +
                              std::to_string(d));
}

template <class Operation>
Args common_args(const Operation& args) {
  return {.q = Heads(args.q),
          .k = Heads(args.k),
          .v = Heads(args.v),
          .o = Heads(args.o),
          .lse = args.lse.template as<float>(),
          .spans = args.spans.template as<std::int32_t>(),
          .T = args.q.dims[0],
          .S = args.k.dims[0],
          .H = args.q.dims[1],
          .G = args.k.dims[1],
          .num_spans = args.spans.dims[0],
          .d = static_cast<int>(args.q.dims[2]),
          .scale = args.scale};
}

}  // namespace

void softmax_attention_forward(const SoftmaxAttentionForward& args, Stream& stream) {
  const auto common = common_args(args);
  see_nothing_kernel<<<grid_size(common.T), kThreads, 0, native(stream)>>>(common);
  check_launch("softmax_attention_forward");
  if (common.num_spans == 0) return;
  with_columns(common.d, "softmax_attention_forward",
               [&]<int kColumns>() { launch_forward<kColumns>(common, stream); });
}

void softmax_attention_backward(const SoftmaxAttentionBackward& args, Stream& stream) {
  const auto common = common_args(args);
  if (common.num_spans == 0 || common.S == 0) return;
  const Scratch delta(args.lse.bytes(), stream);
  delta_kernel<<<grid_size(common.T), kThreads, 0, native(stream)>>>(
      Heads(args.dout), common.o, delta.as<float>(), common.H, common.d);
  check_launch("softmax_attention_backward");
  const BackwardArgs backward{common,         Heads(args.dout), Heads(args.dq),
                              Heads(args.dk), Heads(args.dv),   delta.as<float>()};
  with_columns(common.d, "softmax_attention_backward",
               [&]<int kColumns>() { launch_backward<kColumns>(backward, stream); });
}

}  // namespace fulgur::cuda
