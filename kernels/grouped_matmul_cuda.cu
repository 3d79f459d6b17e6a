#include <cuda_runtime.h>

#include "kernels/cuda_grouped_matmul.cuh"
#include "kernels/cuda_wgmma.cuh"
#include "kernels/grouped_matmul_impl.hpp"

// Plain tiled products with float32 sums, of any sizes; those of bfloat16 go to the tensor cores
// where they fit (grouped_matmul_bf16_cuda.cu). The offsets stay on the device: there are as many
// blocks as any offsets could need, and a block finds out itself what it has to do.
//
//   E groups, M rows, x [M, K], w [E, N, K], y [M, N]
namespace fulgur::cuda {
namespace {

constexpr int kTile = 64;     // rows and columns of a block's piece of the output
constexpr int kDepth = 16;    // terms of the sum in shared memory at a time
constexpr int kSide = 16;     // threads along a side of the tile
constexpr int kOfThread = 4;  // rows and columns of a thread's piece
constexpr int kPadded = kTile + 1;

// A matrix whose element (row, term) lies at data + row row_stride + term term_stride; one of the
// two strides is 1.
template <class T>
struct Operand {
  const T* data;
  std::int64_t row_stride, term_stride;
};

struct Tiles {
  float a[kDepth][kPadded], b[kDepth][kPadded];  // 2 x 16 x 65 x 4 B = 8 KiB
};

// Brings [kTile rows, kDepth terms] of x to shared memory, with zeros outside it. Neighbouring
// threads read neighbouring numbers.
template <class T>
__device__ void load(const Operand<T>& x, std::int64_t rows, std::int64_t terms,
                     float (&to)[kDepth][kPadded]) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kDepth; i += kThreads) {
    const bool by_rows = x.row_stride == 1;
    const int row = by_rows ? i % kTile : i / kDepth, term = by_rows ? i / kTile : i % kDepth;
    to[term][row] = row < rows && term < terms
                        ? to_float(x.data[row * x.row_stride + term * x.term_stride])
                        : 0.0f;
  }
}

// A thread has the rows r + kSide i and the columns c + kSide j of the tile.
struct Sums {
  float at[kOfThread][kOfThread] = {};
};

// The product of the first `rows` rows of a and the first `columns` rows of b, over `terms` terms.
template <class T>
__device__ Sums multiply(Operand<T> a, Operand<T> b, std::int64_t rows, std::int64_t columns,
                         std::int64_t terms) {
  __shared__ Tiles tiles;
  Sums sums;
  const auto r = threadIdx.x / kSide, c = threadIdx.x % kSide;
  for (; terms > 0; terms -= kDepth) {
    __syncthreads();
    load(a, rows, terms, tiles.a);
    load(b, columns, terms, tiles.b);
    __syncthreads();
    for (int term = 0; term < kDepth; ++term) {
      float of_b[kOfThread];
      for (int j = 0; j < kOfThread; ++j)
        of_b[j] = tiles.b[term][c + kSide * j];
      for (int i = 0; i < kOfThread; ++i) {
        const float of_a = tiles.a[term][r + kSide * i];
        for (int j = 0; j < kOfThread; ++j)
          sums.at[i][j] += of_a * of_b[j];
      }
    }
    a.data += kDepth * a.term_stride;
    b.data += kDepth * b.term_stride;
  }
  return sums;
}

// Calls write(row, column, sum) for the thread's elements inside [rows, columns].
template <class Write>
__device__ void for_each_sum(const Sums& sums, std::int64_t rows, std::int64_t columns,
                             const Write& write) {
  for (int i = 0; i < kOfThread; ++i) {
    const std::int64_t row = threadIdx.x / kSide + kSide * i;
    for (int j = 0; j < kOfThread; ++j) {
      const std::int64_t column = threadIdx.x % kSide + kSide * j;
      if (row < rows && column < columns) write(row, column, sums.at[i][j]);
    }
  }
}

struct Group {
  std::int64_t index, first, rows;  // index -1: nothing to do
};

// The row tile number `tile`, counted over all groups.
__device__ Group find_tile(const std::int32_t* offsets, std::int64_t E, std::int64_t M,
                           std::int64_t tile) {
  __shared__ Group found;
  if (threadIdx.x == 0) {
    found.index = -1;
    require(offsets[0] == 0 && offsets[E] <= M);
    for (std::int64_t g = 0; g < E; ++g) {
      const std::int64_t rows = offsets[g + 1] - offsets[g];
      require(rows >= 0);
      const auto num_tiles = divide_up(rows, kTile);
      if (tile >= 0 && tile < num_tiles)
        found = {g, offsets[g] + tile * kTile, min(rows - tile * kTile, std::int64_t{kTile})};
      tile -= num_tiles;
    }
  }
  __syncthreads();
  return found;
}

// out[r] = x[r] matrix[g] for the rows of group g: [rows, terms] by [terms, columns].
template <class T>
struct ByRows {
  const T *x, *matrices;
  const std::int32_t* offsets;
  T* out;
  std::int64_t E, M, columns, terms;
  std::int64_t column_stride, term_stride;  // of one matrix
};
template <class T>
__global__ void rows_kernel(ByRows<T> args) {
  const auto group = find_tile(args.offsets, args.E, args.M, blockIdx.x);
  if (group.index < 0) return;
  const auto first_column = std::int64_t{blockIdx.y} * kTile;
  const auto columns = min(args.columns - first_column, std::int64_t{kTile});
  const Operand<T> x{args.x + group.first * args.terms, args.terms, 1};
  const Operand<T> matrix{
      args.matrices + group.index * args.columns * args.terms + first_column * args.column_stride,
      args.column_stride, args.term_stride};
  const auto sums = multiply(x, matrix, group.rows, columns, args.terms);
  T* out = args.out + group.first * args.columns + first_column;
  for_each_sum(sums, group.rows, columns, [&](std::int64_t row, std::int64_t column, float sum) {
    store(sum, out + row * args.columns + column);
  });
}

template <class T>
struct ByGroups {
  const T *dy, *x;
  const std::int32_t* offsets;
  float* dw;
  std::int64_t E, M, N, K;
};
template <class T>
__global__ void groups_kernel(ByGroups<T> args) {
  const std::int64_t g = blockIdx.z, first = args.offsets[g], end = args.offsets[g + 1];
  require(first >= 0 && first <= end && end <= args.M);
  const auto n = std::int64_t{blockIdx.y} * kTile, k = std::int64_t{blockIdx.x} * kTile;
  const auto rows = min(args.N - n, std::int64_t{kTile}),
             columns = min(args.K - k, std::int64_t{kTile});
  const Operand<T> dy{args.dy + first * args.N + n, 1, args.N};
  const Operand<T> x{args.x + first * args.K + k, 1, args.K};
  const auto sums = multiply(dy, x, rows, columns, end - first);
  float* dw = args.dw + (g * args.N + n) * args.K + k;
  for_each_sum(sums, rows, columns, [&](std::int64_t row, std::int64_t column, float sum) {
    dw[row * args.K + column] += sum;
  });
}

unsigned grid_side(std::int64_t columns) {
  const auto tiles = divide_up(columns, kTile);
  constexpr std::int64_t kMost = 65535;
  if (tiles > kMost)
    throw CudaError("grouped_matmul: too many columns: " + std::to_string(columns));
  return static_cast<unsigned>(tiles);
}

template <class T>
void launch(const ByRows<T>& args, Stream& stream, const char* operation) {
  if (args.E == 0) return;
  const dim3 grid(grid_size(args.M / kTile + args.E), grid_side(args.columns));
  rows_kernel<<<grid, kThreads, 0, native(stream)>>>(args);
  check_launch(operation);
}

template <class T>
void queue(const GroupedMatMul& args, Stream& stream) {
  const auto N = args.w.dims[1], K = args.w.dims[2];
  launch<T>({.x = args.x.as<T>(),
             .matrices = args.w.as<T>(),
             .offsets = args.offsets.as<std::int32_t>(),
             .out = args.y.as<T>(),
             .E = args.w.dims[0],
             .M = args.x.dims[0],
             .columns = N,
             .terms = K,
             .column_stride = K,
             .term_stride = 1},
            stream, "grouped_matmul");
}

template <class T>
void queue(const GroupedMatMulInputGradient& args, Stream& stream) {
  const auto N = args.w.dims[1], K = args.w.dims[2];
  launch<T>({.x = args.dy.as<T>(),
             .matrices = args.w.as<T>(),
             .offsets = args.offsets.as<std::int32_t>(),
             .out = args.dx.as<T>(),
             .E = args.w.dims[0],
             .M = args.dy.dims[0],
             .columns = K,
             .terms = N,
             .column_stride = 1,
             .term_stride = K},
            stream, "grouped_matmul_input_gradient");
}

template <class T>
void queue(const GroupedMatMulWeightGradient& args, Stream& stream) {
  const ByGroups<T> groups{.dy = args.dy.as<T>(),
                           .x = args.x.as<T>(),
                           .offsets = args.offsets.as<std::int32_t>(),
                           .dw = args.dw.as<float>(),
                           .E = args.dw.dims[0],
                           .M = args.dy.dims[0],
                           .N = args.dw.dims[1],
                           .K = args.dw.dims[2]};
  const dim3 grid(grid_side(groups.K), grid_side(groups.N), static_cast<unsigned>(groups.E));
  groups_kernel<<<grid, kThreads, 0, native(stream)>>>(groups);
  check_launch("grouped_matmul_weight_gradient");
}

// In bfloat16 on tensor cores. False, with nothing queued, where they do not fit: for rows that are
// not whole pieces of 16 bytes, and for more groups than they can count.
bool queue_on_tensor_cores(const Tensor& a, const Tensor& b, const Tensor& offsets,
                           const Tensor& out, tensor_cores::Product product, Stream& stream,
                           const char* operation) {
  using tensor_cores::Product;
  const auto E = offsets.dims[0] - 1;
  const bool fits = a.dtype == DType::kBFloat16 && has_whole_pieces(a) && has_whole_pieces(b) &&
                    has_whole_pieces(out) && a.count() > 0 && b.count() > 0 && E > 0 &&
                    E <= tensor_cores::kMostGroups;
  if (!fits) return false;
  const tensor_cores::Args args{.a = a.as<Bf16>(),
                                .b = b.as<Bf16>(),
                                .offsets = offsets.as<std::int32_t>(),
                                .out = out.data,
                                .E = E,
                                .M = a.dims[0],
                                .rows = product == Product::kWeightGradient ? a.dims[1] : -1,
                                .columns = out.dims[out.dims.size() - 1],
                                .terms = product == Product::kWeightGradient ? -1 : a.dims[1]};
  const auto launch =
      hopper::is_here() ? tensor_cores::launch_on_hopper : tensor_cores::launch_anywhere;
  launch(args, product, stream, operation);
  return true;
}

}  // namespace

void grouped_matmul(const GroupedMatMul& args, Stream& stream) {
  if (queue_on_tensor_cores(args.x, args.w, args.offsets, args.y, tensor_cores::Product::kForward,
                            stream, "grouped_matmul"))
    return;
  with_float_type(args.x.dtype, [&]<class T>(T) { queue<T>(args, stream); });
}

void grouped_matmul_input_gradient(const GroupedMatMulInputGradient& args, Stream& stream) {
  if (queue_on_tensor_cores(args.dy, args.w, args.offsets, args.dx,
                            tensor_cores::Product::kInputGradient, stream,
                            "grouped_matmul_input_gradient"))
    return;
  with_float_type(args.dy.dtype, [&]<class T>(T) { queue<T>(args, stream); });
}

void grouped_matmul_weight_gradient(const GroupedMatMulWeightGradient& args, Stream& stream) {
  if (queue_on_tensor_cores(args.dy, args.x, args.offsets, args.dw,
                            tensor_cores::Product::kWeightGradient, stream,
                            "grouped_matmul_weight_gradient"))
    return;
  with_float_type(args.dy.dtype, [&]<class T>(T) { queue<T>(args, stream); });
}

}  // namespace fulgur::cuda
