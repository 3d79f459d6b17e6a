#include <cuda_runtime.h>

#include <type_traits>

#include "kernels/cuda_softmax.cuh"
#include "kernels/cuda_wgmma.cuh"
#include "kernels/softmax_attention_impl.hpp"

// FlashAttention-2 (arXiv 2307.08691), on tiles of kTile queries by kTile keys, in plain float32
// between elements that are float32 or bfloat16; those of bfloat16 go to tensor cores where they
// fit. A warp has kRows rows of its block's tile (queries, or keys in the pass for dk and dv); in
// products over d, a lane has one column of the tile; in sums over the tile, a lane has the columns
// lane + 32 n of a head.
//
//   T queries, S keys, H heads, G KV heads, d head size
namespace fulgur::cuda {
namespace {

using softmax::Args;
using softmax::BackwardArgs;

constexpr const char *kForward = "softmax_attention_forward",
                     *kBackward = "softmax_attention_backward";
constexpr int kTile = 32;
constexpr int kRows = kTile / (kThreads / kWarp);
static_assert(kTile == kWarp);

template <class T>
__device__ void load_tile(const HeadsOf<T>& x, std::int64_t head, std::int64_t first,
                          std::int64_t rows, int d, float* to) {
  load_rows<kTile>(x, head, first, 1, static_cast<int>(min(rows, std::int64_t{kTile})), 0, d, d,
                   d + 1, to);
}

// products[i] = the row i of this warp in `rows` times the lane's row of `columns`; [kTile, d + 1]
// both.
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

  // each(column, element) for row i
  template <class Each>
  __device__ void for_each(int i, int d, const Each& each) const {
#pragma unroll
    for (int n = 0; n < kColumns; ++n) {
      const int c = static_cast<int>(threadIdx.x % kWarp) + kWarp * n;
      if (c < d) each(c, at[i][n]);
    }
  }
};

template <class T>
__global__ void see_nothing_kernel(Args<T> args) {
  const auto t = std::int64_t{blockIdx.x};
  for (std::int64_t h = threadIdx.x / kWarp; h < args.H; h += kThreads / kWarp) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    T* const o = args.o.row(t, h);
    for (int c = lane; c < args.d; c += kWarp)
      store(0.0f, o + c);
    if (lane == 0) args.lse[t * args.H + h] = -INFINITY;
  }
}

// One block per tile of queries and head.
template <int kColumns, class T>
__global__ void forward_kernel(Args<T> args) {
  extern __shared__ float memory[];  // q, k, v: [kTile, d + 1] each
  const int d = args.d;
  float *q = memory, *k = q + kTile * (d + 1), *v = k + kTile * (d + 1);
  const auto [span, first, num_rows] = softmax::find_tile<kTile>(args, blockIdx.x);
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
    T* const o = args.o.row(token, head);
    sums.for_each(i, d, [&](int c, float x) { store(x * inverse, o + c); });
    if (lane == 0)
      args.lse[token * args.H + head] = sees_none ? -INFINITY : maximum[i] + logf(sum[i]);
  }
}

// delta_i = do_i o_i, one warp per token and head.
template <class T>
__global__ void delta_kernel(HeadsOf<T> dout, HeadsOf<T> o, float* delta, std::int64_t H, int d) {
  const auto t = std::int64_t{blockIdx.x};
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (std::int64_t h = threadIdx.x / kWarp; h < H; h += kThreads / kWarp) {
    const T *a = dout.row(t, h), *b = o.row(t, h);
    float sum = 0;
    for (int c = lane; c < d; c += kWarp)
      sum += to_float(a[c]) * to_float(b[c]);
    sum = warp_sum(sum);
    if (lane == 0) delta[t * H + h] = sum;
  }
}

// One block per tile of queries and head.
template <int kColumns, class T>
__global__ void dq_kernel(BackwardArgs<T> args) {
  extern __shared__ float memory[];  // q, dout, k, v: [kTile, d + 1] each
  const int d = args.d, size = kTile * (d + 1);
  float *q = memory, *dout = q + size, *k = dout + size, *v = k + size;
  const auto [span, first, num_rows] = softmax::find_tile<kTile>(args, blockIdx.x);
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
    if (warp_row + i >= num_rows) continue;
    const auto token = first + warp_row + i;
    dq.for_each(i, d, [&](int c, float x) { args.dq.add(token, head, c, x); });
  }
}

// One block per tile of keys and KV head; all queries that see the keys come by, span by span.
template <int kColumns, class T>
__global__ void dk_dv_kernel(BackwardArgs<T> args) {
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
    const auto token = first + warp_row + i;
    dk.for_each(i, d, [&](int c, float x) { args.dk.add(token, kv_head, c, x); });
    dv.for_each(i, d, [&](int c, float x) { args.dv.add(token, kv_head, c, x); });
  }
}

std::size_t tile_bytes(int d, std::size_t num_tiles) {
  return num_tiles * kTile * static_cast<std::size_t>(d + 1) * sizeof(float);
}

template <int kColumns, class T>
void launch_forward(const Args<T>& args, Stream& stream) {
  const dim3 grid(grid_size(softmax::num_query_tiles<kTile>(args)), static_cast<unsigned>(args.H));
  const auto bytes = tile_bytes(args.d, 3);
  allow_shared_memory(forward_kernel<kColumns, T>, bytes, kForward);
  forward_kernel<kColumns><<<grid, kThreads, bytes, native(stream)>>>(args);
  check_launch(kForward);
}

template <int kColumns, class T>
void launch_backward(const BackwardArgs<T>& args, Stream& stream) {
  const auto bytes = tile_bytes(args.d, 4);
  const dim3 queries(grid_size(softmax::num_query_tiles<kTile>(args)),
                     static_cast<unsigned>(args.H));
  allow_shared_memory(dq_kernel<kColumns, T>, bytes, kBackward);
  dq_kernel<kColumns><<<queries, kThreads, bytes, native(stream)>>>(args);
  check_launch(kBackward);
  const dim3 keys(grid_size(divide_up(args.S, kTile)), static_cast<unsigned>(args.G));
  allow_shared_memory(dk_dv_kernel<kColumns, T>, bytes, kBackward);
  dk_dv_kernel<kColumns><<<keys, kThreads, bytes, native(stream)>>>(args);
  check_launch(kBackward);
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

template <class T, class Operation>
Args<T> common_args(const Operation& args) {
  return {.q = HeadsOf<T>(args.q),
          .k = HeadsOf<T>(args.k),
          .v = HeadsOf<T>(args.v),
          .o = HeadsOf<T>(args.o),
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

// Whether tensor cores can take them.
template <class... Tensors>
bool fit_tensor_cores(const Tensor& q, const Tensors&... others) {
  return q.dtype == DType::kBFloat16 && q.dims[2] <= softmax::kMostTensorDims &&
         has_whole_pieces(q) && (has_whole_pieces(others) && ...);
}

template <class T>
void forward(const SoftmaxAttentionForward& args, Stream& stream) {
  const auto common = common_args<T>(args);
  see_nothing_kernel<<<grid_size(common.T), kThreads, 0, native(stream)>>>(common);
  check_launch(kForward);
  if (common.num_spans == 0) return;
  if constexpr (std::is_same_v<T, Bf16>) {
    if (fit_tensor_cores(args.q, args.k, args.v, args.o))
      return hopper::is_here() ? softmax::forward_on_hopper(common, stream, kForward)
                               : softmax::forward_anywhere(common, stream, kForward);
  }
  with_columns(common.d, kForward,
               [&]<int kColumns>() { launch_forward<kColumns>(common, stream); });
}

template <class T>
void backward(const SoftmaxAttentionBackward& args, Stream& stream) {
  const auto common = common_args<T>(args);
  if (common.num_spans == 0 || common.S == 0) return;
  const Scratch delta(args.lse.bytes(), stream);
  const HeadsOf<T> dout(args.dout);
  delta_kernel<<<grid_size(common.T), kThreads, 0, native(stream)>>>(
      dout, common.o, delta.as<float>(), common.H, common.d);
  check_launch(kBackward);
  const BackwardArgs<T> all{common,
                            dout,
                            softmax::Gradient(args.dq),
                            softmax::Gradient(args.dk),
                            softmax::Gradient(args.dv),
                            delta.as<float>()};
  if constexpr (std::is_same_v<T, Bf16>) {
    if (fit_tensor_cores(args.q, args.k, args.v, args.o, args.dout, args.dq, args.dk, args.dv))
      return hopper::is_here() ? softmax::backward_on_hopper(all, stream, kBackward)
                               : softmax::backward_anywhere(all, stream, kBackward);
  }
  with_columns(common.d, kBackward,
               [&]<int kColumns>() { launch_backward<kColumns>(all, stream); });
}

}  // namespace

void softmax_attention_forward(const SoftmaxAttentionForward& args, Stream& stream) {
  with_float_type(args.q.dtype, [&]<class T>(T) { forward<T>(args, stream); });
}

void softmax_attention_backward(const SoftmaxAttentionBackward& args, Stream& stream) {
  with_float_type(args.q.dtype, [&]<class T>(T) { backward<T>(args, stream); });
}

}  // namespace fulgur::cuda
