#include <cuda_runtime.h>

#include "kernels/cuda_tensor_cores.cuh"
#include "kernels/grouped_matmul_impl.hpp"

// Grouped products of bfloat16 on tensor cores, with float32 sums. As many thread blocks as the GPU has
// multiprocessors share the tiles of all groups, which every block counts itself from the offsets. A
// block brings operands kStages - 1 steps of kDepth terms ahead, also over the end of a tile: the first
// steps of its next tile are on their way while it writes the last one. Eight warps have [64, 64] of the
// tile each.
//
//   E groups, M rows, x [M, K], w [E, N, K], y [M, N]
namespace fulgur::cuda::tensor_cores {
namespace {

constexpr int kTileRows = 128, kTileColumns = 256;
constexpr int kDepth = 64;
constexpr int kStages = 4;
constexpr int kOfWarp = 64;  // rows and columns of a warp's piece of the tile
constexpr int kPiece = 8;    // elements in the 16 bytes of a copy
constexpr int kPanel = 16;   // tiles of rows that take turns before the next columns: they share L2
static_assert(kTileRows / kOfWarp * (kTileColumns / kOfWarp) * kWarp == kThreads);

// out[row][column] = sum over the terms of a[row][term] b[column][term], rows and columns inside a group.
enum class Product {
  kForward,         // x w^T: rows are those of the group
  kInputGradient,   // dy w
  kWeightGradient,  // dy^T x, added: terms are the rows of the group
};

// Whether the terms of a row lie side by side in memory, or its rows do for one term.
constexpr bool a_is_by_rows(Product product) {
  return product != Product::kWeightGradient;
}
constexpr bool b_is_by_rows(Product product) {
  return product == Product::kForward;
}

template <bool kIsByRows, int kRows>
struct OperandTile {
  Swizzled<kRows, kDepth> at;
  __device__ A load_a(int row, int term) const { return cuda::load_a(at, row, term); }
  __device__ void load_two_b(int row, int term, B& left, B& right) const {
    load_two_b_transposed(at, row, term, left, right);
  }
};
template <int kRows>
struct OperandTile<false, kRows> {
  Swizzled<kDepth, kRows> at;
  __device__ A load_a(int row, int term) const { return load_a_transposed(at, term, row); }
  __device__ void load_two_b(int row, int term, B& left, B& right) const {
    cuda::load_two_b(at, term, row, left, right);
  }
};

// 4 x (128 + 256) x 64 x 2 B = 192 KiB
template <Product kProduct>
struct Shared {
  OperandTile<a_is_by_rows(kProduct), kTileRows> a[kStages];
  OperandTile<b_is_by_rows(kProduct), kTileColumns> b[kStages];
  std::int32_t first_tile[kMostGroups + 1];  // of each group, counted over all groups
};

struct Args {
  const Bf16 *a, *b;  // b is the matrix of the first group, or x
  const std::int32_t* offsets;
  void* out;  // bfloat16, or float32 to be added to
  std::int64_t E, M;
  std::int64_t rows, columns, terms;  // of the tile's product; -1: those of the group
};

// A piece of the output.
struct Tile {
  const Bf16 *a, *b;  // at its first row or column, first term
  std::int64_t group, row,
      column;  // its first row and column; rows count over all groups or in out[g]
  std::int64_t rows, columns, terms;  // that it has; no tile: terms = 0
};

// Counts the tiles of all groups into shared.first_tile.
template <Product kProduct>
__device__ void count_tiles(const Args& args, std::int32_t* first_tile) {
  if (warp() == 0) {
    const auto column_tiles = divide_up(args.columns, kTileColumns);
    std::int64_t before = 0;
    for (std::int64_t g = lane(); g < divide_up(args.E, kWarp) * kWarp; g += kWarp) {
      std::int64_t tiles = 0;
      if (g < args.E) {
        const std::int64_t begin = args.offsets[g], end = args.offsets[g + 1];
        require(begin >= 0 && begin <= end && end <= args.M && (g > 0 || begin == 0));
        const auto rows = kProduct == Product::kWeightGradient ? args.rows : end - begin;
        tiles = begin == end ? 0 : divide_up(rows, kTileRows) * column_tiles;
      }
      tiles = warp_scan(tiles);
      if (g < args.E) first_tile[g + 1] = static_cast<std::int32_t>(before + tiles);
      before += __shfl_sync(kAllLanes, tiles, kWarp - 1);
    }
    if (lane() == 0) first_tile[0] = 0;
  }
  __syncthreads();
}

// The tile with this number; `group` is that of a tile before it, and is moved on.
template <Product kProduct>
__device__ Tile tile_at(const Args& args, const std::int32_t* first_tile, std::int64_t number,
                        std::int64_t& group) {
  Tile tile{};
  while (group < args.E && number >= first_tile[group + 1])
    ++group;
  if (group >= args.E) return tile;
  const std::int64_t begin = args.offsets[group], in_group = args.offsets[group + 1] - begin;
  constexpr bool kTermsAreTokens = kProduct == Product::kWeightGradient;
  const auto rows = kTermsAreTokens ? args.rows : in_group;
  const auto row_tiles = divide_up(rows, kTileRows),
             column_tiles = divide_up(args.columns, kTileColumns);
  const auto inside = number - first_tile[group];
  const auto panel = inside / (kPanel * column_tiles), in_panel = inside % (kPanel * column_tiles);
  const auto panel_rows = min(std::int64_t{kPanel}, row_tiles - panel * kPanel);
  const auto row = (panel * kPanel + in_panel % panel_rows) * kTileRows;
  tile.column = in_panel / panel_rows * kTileColumns;
  tile.group = group;
  tile.rows = min(rows - row, std::int64_t{kTileRows});
  tile.columns = min(args.columns - tile.column, std::int64_t{kTileColumns});
  tile.terms = kTermsAreTokens ? in_group : args.terms;
  if constexpr (kTermsAreTokens) {
    tile.row = row;
    tile.a = args.a + begin * args.rows + row;
    tile.b = args.b + begin * args.columns + tile.column;
  } else {
    tile.row = begin + row;
    tile.a = args.a + tile.row * args.terms;
    const Bf16* const matrix = args.b + group * args.columns * args.terms;
    tile.b = matrix + tile.column * (b_is_by_rows(kProduct) ? args.terms : 1);
  }
  return tile;
}

// Begins to bring kDepth terms of kRows rows, zeros behind the last row and the last term.
template <bool kIsByRows, int kRows>
__device__ void load(const Bf16* from, std::int64_t stride, std::int64_t rows, std::int64_t terms,
                     OperandTile<kIsByRows, kRows>& to) {
  constexpr int kLines = kIsByRows ? kRows : kDepth, kLength = kIsByRows ? kDepth : kRows;
  constexpr int kPiecesOfLine = kLength / kPiece, kLinesAtOnce = kThreads / kPiecesOfLine;
  const auto lines = kIsByRows ? rows : terms, length = kIsByRows ? terms : rows;
  const int first = static_cast<int>(threadIdx.x) / kPiecesOfLine;
  const int place = static_cast<int>(threadIdx.x) % kPiecesOfLine * kPiece;
#pragma unroll
  for (int i = 0; i < kLines / kLinesAtOnce; ++i) {
    const int line = first + i * kLinesAtOnce;
    const bool inside = line < lines && place < length;
    begin_copy(piece(to.at, line, place), inside ? from + line * stride + place : from, inside);
  }
}

// Goes through the steps of all tiles of this block, ahead of the products.
template <Product kProduct>
class Loader {
 public:
  __device__ Loader(const Args& args, Shared<kProduct>& shared)
      : args_(args), shared_(shared), number_(blockIdx.x) {
    tile_ = tile_at<kProduct>(args_, shared_.first_tile, number_, group_);
  }

  __device__ void next() {
    if (tile_.terms > 0) {
      constexpr bool kA = a_is_by_rows(kProduct), kB = b_is_by_rows(kProduct);
      const auto a_stride = kA ? args_.terms : args_.rows;
      const auto b_stride = kB ? args_.terms : args_.columns;
      load(tile_.a, a_stride, tile_.rows, tile_.terms, shared_.a[stage_]);
      load(tile_.b, b_stride, tile_.columns, tile_.terms, shared_.b[stage_]);
      tile_.a += kDepth * (kA ? 1 : a_stride);
      tile_.b += kDepth * (kB ? 1 : b_stride);
      tile_.terms -= kDepth;
      stage_ = (stage_ + 1) % kStages;
      if (tile_.terms <= 0) {
        number_ += gridDim.x;
        tile_ = tile_at<kProduct>(args_, shared_.first_tile, number_, group_);
      }
    }
    end_batch();
  }

 private:
  const Args& args_;
  Shared<kProduct>& shared_;
  std::int64_t number_, group_ = 0;
  Tile tile_;
  int stage_ = 0;
};

// The piece of a warp: 4 x 8 products of [16, 8].
struct Piece {
  static constexpr int kDown = kOfWarp / 16, kAcross = kOfWarp / 8;
  Sums sums[kDown][kAcross] = {};
};

// What one step of 16 terms needs.
struct Operands {
  A a[Piece::kDown];
  B b[Piece::kAcross];
};

template <Product kProduct>
__device__ void fetch(const Shared<kProduct>& shared, int stage, int row, int column, int term,
                      Operands& to) {
#pragma unroll
  for (int i = 0; i < Piece::kDown; ++i)
    to.a[i] = shared.a[stage].load_a(row + 16 * i, term);
#pragma unroll
  for (int j = 0; j < Piece::kAcross; j += 2)
    shared.b[stage].load_two_b(column + 8 * j, term, to.b[j], to.b[j + 1]);
}

__device__ void multiply(const Operands& operands, Piece& piece) {
#pragma unroll
  for (int i = 0; i < Piece::kDown; ++i) {
#pragma unroll
    for (int j = 0; j < Piece::kAcross; ++j)
      multiply_add(piece.sums[i][j], operands.a[i], operands.b[j]);
  }
}

template <Product kProduct>
__device__ void write(const Args& args, const Tile& tile, const Piece& piece, int row, int column) {
  const auto place = [&](int i, int half) { return row + 16 * i + half * 8 + lane() / 4; };
#pragma unroll
  for (int i = 0; i < Piece::kDown; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (place(i, half) >= tile.rows) continue;
      const auto first_row =
          kProduct == Product::kWeightGradient ? tile.group * args.rows + tile.row : tile.row;
      const auto at = (first_row + place(i, half)) * args.columns + tile.column;
#pragma unroll
      for (int j = 0; j < Piece::kAcross; ++j) {
        const int c = column + 8 * j + lane() % 4 * 2;
        const float left = piece.sums[i][j].c[2 * half], right = piece.sums[i][j].c[2 * half + 1];
        if (c >= tile.columns) continue;
        if constexpr (kProduct == Product::kWeightGradient) {
          auto* const to = reinterpret_cast<float2*>(static_cast<float*>(args.out) + at + c);
          const float2 sum = *to;
          *to = make_float2(sum.x + left, sum.y + right);
        } else {
          store_pair(static_cast<Bf16*>(args.out) + at + c, left, right);
        }
      }
    }
  }
}

template <Product kProduct>
__global__ void __launch_bounds__(kThreads, 1) grouped_kernel(Args args) {
  extern __shared__ uint4 memory[];
  auto& shared = *reinterpret_cast<Shared<kProduct>*>(memory);
  count_tiles<kProduct>(args, shared.first_tile);
  Loader<kProduct> loader(args, shared);
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i)
    loader.next();
  const int row = warp() % 2 * kOfWarp, column = warp() / 2 * kOfWarp;
  std::int64_t group = 0;
  int stage = 0;
  for (std::int64_t number = blockIdx.x; number < shared.first_tile[args.E]; number += gridDim.x) {
    const auto tile = tile_at<kProduct>(args, shared.first_tile, number, group);
    Piece piece;
    for (std::int64_t done = 0; done < tile.terms; done += kDepth) {
      wait_for_batches<kStages - 2>();
      __syncthreads();  // this step is there, and nobody reads the one before
      loader.next();
      Operands operands[2];
      fetch(shared, stage, row, column, 0, operands[0]);
#pragma unroll
      for (int step = 0; step < kDepth / 16; ++step) {
        if (step + 1 < kDepth / 16)
          fetch(shared, stage, row, column, 16 * (step + 1), operands[(step + 1) % 2]);
        multiply(operands[step % 2], piece);
      }
      stage = (stage + 1) % kStages;
    }
    write<kProduct>(args, tile, piece, row, column);
  }
}

unsigned num_multiprocessors() {
  int device = 0, count = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
        "cudaDeviceGetAttribute");
  return static_cast<unsigned>(count);
}

template <Product kProduct>
void launch(const Args& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = sizeof(Shared<kProduct>);
  allow_shared_memory(grouped_kernel<kProduct>, kBytes, operation);
  grouped_kernel<kProduct><<<num_multiprocessors(), kThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

bool fits(const Tensor& a, const Tensor& b, const Tensor& out, const Tensor& offsets) {
  return has_whole_pieces(a) && has_whole_pieces(b) && has_whole_pieces(out) && a.count() > 0 &&
         b.count() > 0 && offsets.dims[0] <= kMostGroups + 1;
}

}  // namespace

bool grouped_matmul(const GroupedMatMul& args, Stream& stream) {
  if (!fits(args.x, args.w, args.y, args.offsets)) return false;
  launch<Product::kForward>({.a = args.x.as<Bf16>(),
                             .b = args.w.as<Bf16>(),
                             .offsets = args.offsets.as<std::int32_t>(),
                             .out = args.y.data,
                             .E = args.w.dims[0],
                             .M = args.x.dims[0],
                             .rows = -1,
                             .columns = args.w.dims[1],
                             .terms = args.w.dims[2]},
                            stream, "grouped_matmul");
  return true;
}

bool grouped_matmul_input_gradient(const GroupedMatMulInputGradient& args, Stream& stream) {
  if (!fits(args.dy, args.w, args.dx, args.offsets)) return false;
  launch<Product::kInputGradient>({.a = args.dy.as<Bf16>(),
                                   .b = args.w.as<Bf16>(),
                                   .offsets = args.offsets.as<std::int32_t>(),
                                   .out = args.dx.data,
                                   .E = args.w.dims[0],
                                   .M = args.dy.dims[0],
                                   .rows = -1,
                                   .columns = args.w.dims[2],
                                   .terms = args.w.dims[1]},
                                  stream, "grouped_matmul_input_gradient");
  return true;
}

bool grouped_matmul_weight_gradient(const GroupedMatMulWeightGradient& args, Stream& stream) {
  if (!fits(args.dy, args.x, args.dw, args.offsets)) return false;
  launch<Product::kWeightGradient>({.a = args.dy.as<Bf16>(),
                                    .b = args.x.as<Bf16>(),
                                    .offsets = args.offsets.as<std::int32_t>(),
                                    .out = args.dw.data,
                                    .E = args.dw.dims[0],
                                    .M = args.dy.dims[0],
                                    .rows = args.dw.dims[1],
                                    .columns = args.dw.dims[2],
                                    .terms = -1},
                                   stream, "grouped_matmul_weight_gradient");
  return true;
}

}  // namespace fulgur::cuda::tensor_cores
