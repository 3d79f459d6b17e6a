#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda_lightning.cuh"
#include "kernels/cuda_tensor_cores.cuh"

// Lightning attention of bfloat16 on tensor cores (mma.sync, 16 x 8 x 16), with float32 sums.
//
// A thread block has one segment, one head and kColumns columns of v, o and X, and goes through the
// segment block by block of kBlock tokens. Warp w has the rows 16 w .. 16 w + 15 of the scores and
// of o, and a quarter of the rows of X, which stay in its registers; the block reads X from a
// bfloat16 copy in shared memory. Scores go from the sums of one product to the operand of the next
// without leaving the registers. d is filled up with zeros to kDims, 64 or 128.
//
// Where the lanes of a warp hold sums and operands: kernels/cuda_tensor_cores.cuh.
namespace fulgur::cuda::lightning {
namespace {

using BfSweep = Sweep<Bf16>;

constexpr int kBlock = 64;    // tokens
constexpr int kColumns = 64;  // of v, o and X
constexpr int kWarps = 4;
constexpr int kTensorThreads = kWarps * kWarp;
constexpr int kPad = 8;  // 16 bytes between rows: eight rows of a matrix lie in different banks
constexpr int kRowTiles = kColumns / 8;  // tiles of 8 columns in a row of sums
static_assert(kBlock == kWarps * 16 && kBlock == kColumns);

// What a thread block holds in shared memory.
//   kDims = 128: 2 x 44032 B of rows + 128 x 72 x 2 B + 65 x 4 B = 106756 B: two on a
//   multiprocessor
template <int kDims>
struct Rows {  // of one block of tokens
  Bf16 q[kBlock][kDims + kPad];
  Bf16 k[kBlock][kDims + kPad];
  Bf16 v[kBlock][kColumns + kPad];
};
template <int kDims>
struct Shared {
  Rows<kDims> rows[2];  // of the block at work, and of the next on its way
  Bf16 state[kDims][kColumns + kPad];
  float power[kBlock + 1];  // lambda^i
};

__device__ std::uint32_t scaled(std::uint32_t bits, float low, float high) {
  __nv_bfloat162 pair;
  memcpy(&pair, &bits, sizeof(bits));
  const float2 numbers = __bfloat1622float2(pair);
  return pack(low * numbers.x, high * numbers.y);
}

// Begins to bring columns [column, column + kWidth) of the rows of tokens first, first + step, ...:
// `rows` of them, then zeros; zeros also behind the d columns of a head.
template <int kWidth, int kStride>
__device__ void load_rows(const HeadsOf<Bf16>& x, std::int64_t head, std::int64_t first, int step,
                          int rows, int column, int d, Bf16 (*to)[kStride]) {
  constexpr int kChunk = 8;
  for (int i = static_cast<int>(threadIdx.x); i < kBlock * kWidth / kChunk; i += kTensorThreads) {
    const int row = i / (kWidth / kChunk), c = i % (kWidth / kChunk) * kChunk;
    const bool inside = row < rows;
    const Bf16* const from = x.row(inside ? first + row * step : first, head) + column + c;
    if (inside && column + c + kChunk <= d && reinterpret_cast<std::uintptr_t>(from) % 16 == 0) {
      begin_copy(&to[row][c], from);
      continue;
    }
#pragma unroll
    for (int n = 0; n < kChunk; ++n)
      to[row][c + n] = inside && column + c + n < d ? from[n] : Bf16(0.0f);
  }
}

// The rows of X that a warp has: kDims / kWarps of them.
template <int kDims>
struct StateRows {
  static constexpr int kTiles = kDims / kWarps / 16;  // of 16 rows
  Sums sums[kTiles][kRowTiles];

  // each(sum, row, column)
  template <class Each>
  __device__ void for_each(const Each& each) {
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int n = 0; n < kRowTiles; ++n) {
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          const int row = (warp() * kTiles + m) * 16 + lane() / 4 + c / 2 * 8;
          each(sums[m][n].c[c], row, n * 8 + lane() % 4 * 2 + c % 2);
        }
      }
    }
  }
};

// Where X[row][column] lies in the matrix of a slot: row * rows + column * columns.
struct Strides {
  __device__ Strides(const States& states, int d)
      : rows(states.is_transposed ? 1 : d), columns(states.is_transposed ? d : 1) {}
  int rows, columns;
};

template <int kDims>
__device__ void load_state(StateRows<kDims>& x, const BfSweep& args, std::int64_t segment,
                           std::int64_t head, int column) {
  const float* const matrix = matrix_of(args.entering, args, segment, head);
  x.for_each([&](float& sum, int, int) { sum = 0.0f; });
  if (matrix == nullptr) return;
  const Strides strides(args.entering, args.d);
  x.for_each([&](float& sum, int row, int c) {
    if (row < args.d && column + c < args.d)
      sum = matrix[row * strides.rows + (column + c) * strides.columns];
  });
}

template <int kDims>
__device__ void store_state(StateRows<kDims>& x, const BfSweep& args, std::int64_t segment,
                            std::int64_t head, int column) {
  float* const matrix = matrix_of(args.leaving, args, segment, head);
  if (matrix == nullptr) return;
  const Strides strides(args.leaving, args.d);
  x.for_each([&](float& sum, int row, int c) {
    if (row < args.d && column + c < args.d)
      matrix[row * strides.rows + (column + c) * strides.columns] = sum;
  });
}

// o = scores v + lambda^(i+p) q X for the 16 rows of this warp. The long loop is not unrolled: the
// registers hold o, the scores and X already.
template <int kDims>
__device__ void make_outputs(const Shared<kDims>& shared, const Rows<kDims>& rows, int p,
                             Sums (&o)[kRowTiles]) {
  const int top = warp() * 16, g = lane() / 4, t = lane() % 4;
  Sums scores[kBlock / 8] = {};
#pragma unroll 1
  for (int x = 0; x < kDims; x += 16) {
    const A q = load_a(rows.q, top, x);
#pragma unroll
    for (int n = 0; n < kRowTiles; n += 2) {
      B left, right;
      load_two_b(shared.state, x, n * 8, left, right);
      multiply_add(o[n], q, left);
      multiply_add(o[n + 1], q, right);
    }
#pragma unroll
    for (int n = 0; n < kBlock / 8; n += 2) {
      if (n * 8 > top + 15) continue;  // behind these tokens
      B left, right;
      load_two_b_transposed(rows.k, n * 8, x, left, right);
      multiply_add(scores[n], q, left);
      multiply_add(scores[n + 1], q, right);
    }
  }
#pragma unroll
  for (int n = 0; n < kRowTiles; ++n) {
    for (int c = 0; c < 4; ++c)
      o[n].c[c] *= shared.power[top + g + c / 2 * 8 + p];
  }
#pragma unroll
  for (int j = 0; j < kBlock; j += 16) {
    if (j > top + 15) continue;
    float decayed[2][4];
    for (int n = 0; n < 2; ++n) {
      for (int c = 0; c < 4; ++c) {
        const int distance = top + g + c / 2 * 8 - (j + n * 8 + t * 2 + c % 2);
        decayed[n][c] = distance >= 0 ? shared.power[distance] * scores[j / 8 + n].c[c] : 0.0f;
      }
    }
    const A a{{pack(decayed[0][0], decayed[0][1]), pack(decayed[0][2], decayed[0][3]),
               pack(decayed[1][0], decayed[1][1]), pack(decayed[1][2], decayed[1][3])}};
#pragma unroll
    for (int n = 0; n < kRowTiles; n += 2) {
      B left, right;
      load_two_b(rows.v, j, n * 8, left, right);
      multiply_add(o[n], a, left);
      multiply_add(o[n + 1], a, right);
    }
  }
}

// Two neighbours at a time where the rows allow it.
__device__ void write_outputs(const Sums (&o)[kRowTiles], const BfSweep& args, std::int64_t head,
                              std::int64_t first, int rows, int column) {
  const int step = static_cast<int>(args.direction);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = warp() * 16 + lane() / 4 + half * 8;
    if (row >= rows) continue;
    Bf16* const to = args.o.row(first + row * step, head);
#pragma unroll
    for (int n = 0; n < kRowTiles; ++n) {
      const int at = column + n * 8 + lane() % 4 * 2;
      const float left = o[n].c[2 * half], right = o[n].c[2 * half + 1];
      if (at + 1 < args.d && reinterpret_cast<std::uintptr_t>(to + at) % 4 == 0) {
        *reinterpret_cast<std::uint32_t*>(to + at) = pack(left, right);
      } else {
        if (at < args.d) to[at] = __float2bfloat16_rn(left);
        if (at + 1 < args.d) to[at + 1] = __float2bfloat16_rn(right);
      }
    }
  }
}

// X = lambda^c X + sum over the block of lambda^(c-i-p) k_i^T v_i; rows behind the last token are
// zero.
template <int kDims>
__device__ void pass_block(const Shared<kDims>& shared, const Rows<kDims>& block, int rows, int p,
                           StateRows<kDims>& x) {
  const float decay = shared.power[rows];
  x.for_each([&](float& sum, int, int) { sum *= decay; });
#pragma unroll 1
  for (int j = 0; j < kBlock; j += 16) {
    const int token = j + lane() % 4 * 2;
    const auto weight = [&](int i) { return i < rows ? shared.power[rows - i - p] : 0.0f; };
    const float w0 = weight(token), w1 = weight(token + 1);
    const float w8 = weight(token + 8), w9 = weight(token + 9);
    A keys[StateRows<kDims>::kTiles];
#pragma unroll
    for (int m = 0; m < StateRows<kDims>::kTiles; ++m) {
      auto& a = keys[m];
      a = load_a_transposed(block.k, j, (warp() * StateRows<kDims>::kTiles + m) * 16);
      a = {{scaled(a.r[0], w0, w1), scaled(a.r[1], w0, w1), scaled(a.r[2], w8, w9),
            scaled(a.r[3], w8, w9)}};
    }
#pragma unroll
    for (int n = 0; n < kRowTiles; n += 2) {
      B left, right;
      load_two_b(block.v, j, n * 8, left, right);
#pragma unroll
      for (int m = 0; m < StateRows<kDims>::kTiles; ++m) {
        multiply_add(x.sums[m][n], keys[m], left);
        multiply_add(x.sums[m][n + 1], keys[m], right);
      }
    }
  }
}

// One thread block per segment, head and kColumns columns.
template <int kDims>
__global__ void __launch_bounds__(kTensorThreads) sweep_kernel(BfSweep args) {
  extern __shared__ uint4 memory[];
  auto& shared = *reinterpret_cast<Shared<kDims>*>(memory);
  const int column = static_cast<int>(blockIdx.x) * kColumns;
  const std::int64_t head = blockIdx.y;
  const int step = static_cast<int>(args.direction);
  const int p = args.direction == Direction::kForward ? 1 : 0;
  const double rate = args.decay_rate[head];
  for (int i = static_cast<int>(threadIdx.x); i <= kBlock; i += kTensorThreads)
    shared.power[i] = static_cast<float>(exp(-rate * i));

  require(args.starts[0] == 0 && args.starts[args.num_segments] == args.num_tokens);
  for (std::int64_t s = blockIdx.z; s < args.num_segments; s += gridDim.z) {
    const auto [begin, end] = tokens_of(args, s);
    if (!args.has_output && matrix_of(args.leaving, args, s, head) == nullptr) continue;
    StateRows<kDims> x;
    load_state(x, args, s, head, column);
    const auto num_tokens = end - begin;
    const auto first_of = [&](std::int64_t done) {
      return step > 0 ? begin + done : end - 1 - done;
    };
    const auto load = [&](std::int64_t done) {
      if (done >= num_tokens) return;
      auto& to = shared.rows[done / kBlock % 2];
      const int rows = static_cast<int>(min(std::int64_t{kBlock}, num_tokens - done));
      load_rows<kDims>(args.k, head, first_of(done), step, rows, 0, args.d, to.k);
      load_rows<kColumns>(args.v, head, first_of(done), step, rows, column, args.d, to.v);
      if (args.has_output)
        load_rows<kDims>(args.q, head, first_of(done), step, rows, 0, args.d, to.q);
    };
    __syncthreads();  // the powers are there; nobody reads rows of the segment before
    load(0);
    for (auto done = std::int64_t{0}; done < num_tokens; done += kBlock) {
      const int rows = static_cast<int>(min(std::int64_t{kBlock}, num_tokens - done));
      const auto& block = shared.rows[done / kBlock % 2];
      wait_for_copies();
      __syncthreads();  // this block is there, and nobody reads the one before
      load(done + kBlock);
      if (args.has_output) {
        x.for_each(
            [&](float& sum, int row, int c) { shared.state[row][c] = __float2bfloat16_rn(sum); });
        __syncthreads();
        Sums o[kRowTiles] = {};
        make_outputs(shared, block, p, o);
        write_outputs(o, args, head, first_of(done), rows, column);
      }
      pass_block(shared, block, rows, p, x);
    }
    store_state(x, args, s, head, column);
  }
}

template <int kDims>
void launch_for(const BfSweep& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = sizeof(Shared<kDims>);
  allow_shared_memory(sweep_kernel<kDims>, kBytes, operation);
  const dim3 grid(grid_size(divide_up(args.d, kColumns)), static_cast<unsigned>(args.num_heads),
                  static_cast<unsigned>(std::min(args.num_segments, kMostSegments)));
  sweep_kernel<kDims><<<grid, kTensorThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace

void launch(const BfSweep& args, Stream& stream, const char* operation) {
  if (args.d <= 64) return launch_for<64>(args, stream, operation);
  return launch_for<128>(args, stream, operation);
}

}  // namespace fulgur::cuda::lightning
