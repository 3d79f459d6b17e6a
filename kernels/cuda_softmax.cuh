#pragma once

#include "kernels/cuda_heads.cuh"
#include "kernels/cuda_tensor_cores.cuh"

// What the kernels of softmax attention share.
//
//   T queries, S keys, H heads, G KV heads, d head size
namespace fulgur::cuda::softmax {

struct Span {
  std::int64_t q_begin, q_end, k_begin, k_end, shift;

  // The keys, counted from k_begin, that query i sees: the first so many.
  __device__ std::int64_t num_seen(std::int64_t query) const {
    const auto seen = query - q_begin + shift + 1;
    return max(std::int64_t{0}, min(seen, k_end - k_begin));
  }
};

template <class Element>
struct Args {
  HeadsOf<Element> q, k, v, o;
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

// dq, dk or dv: float32, or bfloat16, which is rounded once for each call.
class Gradient {
 public:
  explicit Gradient(const Tensor& tensor)
      : floats_(tensor), halves_(tensor), is_bf16_(tensor.dtype == DType::kBFloat16) {}

  __device__ void add(std::int64_t token, std::int64_t head, int column, float x) const {
    if (is_bf16_) {
      auto* const to = halves_.row(token, head) + column;
      store(to_float(*to) + x, to);
    } else {
      floats_.row(token, head)[column] += x;
    }
  }

  // The same for two neighbours, of rows in whole pieces of 16 bytes.
  __device__ void add(std::int64_t token, std::int64_t head, int column, float left,
                      float right) const {
    if (is_bf16_) {
      Bf16* const to = halves_.row(token, head) + column;
      store_pair(to, to_float(to[0]) + left, to_float(to[1]) + right);
    } else {
      auto* const to = reinterpret_cast<float2*>(floats_.row(token, head) + column);
      const float2 sum = *to;
      *to = make_float2(sum.x + left, sum.y + right);
    }
  }

 private:
  HeadsOf<float> floats_;
  HeadsOf<Bf16> halves_;
  bool is_bf16_;
};

template <class Element>
struct BackwardArgs : Args<Element> {
  HeadsOf<Element> dout;
  Gradient dq, dk, dv;
  const float* delta;  // [T, H]: do_i o_i
};

struct QueryTile {
  Span span;
  std::int64_t first;  // query; -1: there is no such tile
  int rows;
};

// The tile of kTile queries number `tile`, counted over all spans. All threads call it together.
template <int kTile, class Element>
__device__ QueryTile find_tile(const Args<Element>& args, std::int64_t tile) {
  __shared__ QueryTile found;
  if (threadIdx.x < kWarp) {
    if (threadIdx.x == 0) found.first = -1;
    __syncwarp();
    for (std::int64_t p = threadIdx.x; p - threadIdx.x < args.num_spans && tile >= 0; p += kWarp) {
      const auto span = p < args.num_spans ? args.span(p) : Span{};
      const auto num_tiles = divide_up(span.q_end - span.q_begin, kTile);
      const auto end = warp_scan(num_tiles), begin = end - num_tiles;
      const auto first = span.q_begin + (tile - begin) * kTile;
      if (tile >= begin && tile < end)
        found = {span, first, static_cast<int>(min(span.q_end - first, std::int64_t{kTile}))};
      tile -= __shfl_sync(kAllLanes, end, kWarp - 1);
    }
  }
  __syncthreads();
  return found;
}

// As many tiles of kTile queries as any spans could have.
template <int kTile, class Element>
std::int64_t num_query_tiles(const Args<Element>& args) {
  return args.T / kTile + args.num_spans;
}

// Which head and which tile a thread block has, of a grid of heads * tiles. The longest work comes
// first, of all heads: for queries that is the last tile, for keys the first.
struct HeadAndTile {
  __device__ explicit HeadAndTile(std::int64_t num_heads)
      : head(blockIdx.x % num_heads),
        from_begin(blockIdx.x / num_heads),
        from_end(gridDim.x / num_heads - 1 - from_begin) {}
  std::int64_t head, from_begin, from_end;
};

// Begins to bring `rows` rows of a head to shared memory, zeros behind them and behind its d
// columns.
template <int kNumThreads, class Matrix>
__device__ void begin_rows(const HeadsOf<Bf16>& x, std::int64_t head, std::int64_t first,
                           std::int64_t rows, int d, Matrix& to) {
  constexpr int kPiecesOfRow = Matrix::kNumColumns / 8, kRowsAtOnce = kNumThreads / kPiecesOfRow;
  const int column = static_cast<int>(threadIdx.x) % kPiecesOfRow * 8;
  const int top = static_cast<int>(threadIdx.x) / kPiecesOfRow;
  const Bf16* const from = x.row(first, head);
#pragma unroll
  for (int i = 0; i < Matrix::kNumRows / kRowsAtOnce; ++i) {
    const int row = top + i * kRowsAtOnce;
    const bool inside = row < rows && column < d;
    begin_copy(piece(to, row, column), inside ? from + row * x.token_stride + column : from,
               inside);
  }
}

// On tensor cores, for rows in whole pieces of 16 bytes and d up to kMostTensorDims: with Hopper's
// own products, or with those that older and newer GPUs have too. o and lse hold what a query that
// sees nothing gets already, and delta is there.
inline constexpr int kMostTensorDims = 128;
void forward_on_hopper(const Args<Bf16>& args, Stream& stream, const char* operation);
void forward_anywhere(const Args<Bf16>& args, Stream& stream, const char* operation);
void backward_on_hopper(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation);
void backward_anywhere(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation);

}  // namespace fulgur::cuda::softmax
