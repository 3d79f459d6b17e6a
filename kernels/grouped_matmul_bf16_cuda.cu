#include <cuda_runtime.h>

#include "kernels/cuda_grouped_matmul.cuh"

// Grouped products of bfloat16 on tensor cores, with float32 sums. As many thread blocks as the GPU
// has multiprocessors share the tiles of all groups, which every block counts itself from the
// offsets. A block brings operands kStages - 1 steps of kDepth terms ahead, also over the end of a
// tile: the first steps of its next tile are on their way while it writes the last one. Eight warps
// have [64, 64] of the tile each.
//
//   E groups, M rows, x [M, K], w [E, N, K], y [M, N]
namespace fulgur::cuda::tensor_cores {
namespace {

constexpr int kDepth = 64;
constexpr int kStages = 4;
constexpr int kOfWarp = 64;  // rows and columns of a warp's piece of the tile
constexpr int kPiece = 8;    // elements in the 16 bytes of a copy
static_assert(kTileRows / kOfWarp * (kTileColumns / kOfWarp) * kWarp == kThreads);

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
    find_tile();
  }

  __device__ void next() {
    if (tile_.terms > 0) {
      load(a_, kA ? args_.terms : args_.rows, tile_.rows, tile_.terms, shared_.a[stage_]);
      load(b_, kB ? args_.terms : args_.columns, tile_.columns, tile_.terms, shared_.b[stage_]);
      a_ += kDepth * (kA ? 1 : args_.rows);
      b_ += kDepth * (kB ? 1 : args_.columns);
      tile_.terms -= kDepth;
      stage_ = (stage_ + 1) % kStages;
      if (tile_.terms <= 0) {
        number_ += gridDim.x;
        find_tile();
      }
    }
    end_batch();
  }

 private:
  static constexpr bool kA = a_is_by_rows(kProduct), kB = b_is_by_rows(kProduct);

  __device__ void find_tile() {
    tile_ = tile_at<kProduct>(args_, shared_.first_tile, number_, group_);
    if constexpr (kProduct == Product::kWeightGradient) {
      a_ = args_.a + tile_.first_token * args_.rows + tile_.row;
      b_ = args_.b + tile_.first_token * args_.columns + tile_.column;
    } else {
      a_ = args_.a + (tile_.first_token + tile_.row) * args_.terms;
      const Bf16* const matrix = args_.b + tile_.group * args_.columns * args_.terms;
      b_ = matrix + tile_.column * (kB ? args_.terms : 1);
    }
  }

  const Args& args_;
  Shared<kProduct>& shared_;
  std::int64_t number_, group_ = 0;
  Tile tile_;
  const Bf16 *a_, *b_;
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
  const auto top = first_row<kProduct>(args, tile);
#pragma unroll
  for (int i = 0; i < Piece::kDown; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int r = row + 16 * i + half * 8 + lane() / 4;
      if (r >= tile.rows) continue;
      const auto at = (top + r) * args.columns + tile.column;
#pragma unroll
      for (int j = 0; j < Piece::kAcross; ++j) {
        const int c = column + 8 * j + lane() % 4 * 2;
        const auto& sums = piece.sums[i][j];
        if (c < tile.columns)
          write_pair<kProduct>(args, at + c, sums.c[2 * half], sums.c[2 * half + 1]);
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

template <Product kProduct>
void launch(const Args& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = sizeof(Shared<kProduct>);
  allow_shared_memory(grouped_kernel<kProduct>, kBytes, operation);
  grouped_kernel<kProduct><<<num_multiprocessors(), kThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace

void launch_anywhere(const Args& args, Product product, Stream& stream, const char* operation) {
  with_product(product, [&]<Product kProduct>() { launch<kProduct>(args, stream, operation); });
}

}  // namespace fulgur::cuda::tensor_cores
