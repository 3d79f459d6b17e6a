#pragma once

#include "kernels/cuda_tensor_cores.cuh"

// What the kernels for grouped products of bfloat16 share: how the tiles of all groups are counted.
//
//   E groups, M rows, x [M, K], w [E, N, K], y [M, N]
namespace fulgur::cuda::tensor_cores {

inline constexpr int kTileRows = 128, kTileColumns = 256;
inline constexpr int kPanel =
    16;  // tiles of rows that take turns before the next columns: they share L2
inline constexpr std::int64_t kMostGroups = 4096;

// out[row][column] = sum over the terms of a[row][term] b[column][term], rows and columns inside a
// group.
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

// Calls body.operator()<product>().
template <class Body>
void with_product(Product product, const Body& body) {
  if (product == Product::kForward) return body.template operator()<Product::kForward>();
  if (product == Product::kInputGradient)
    return body.template operator()<Product::kInputGradient>();
  return body.template operator()<Product::kWeightGradient>();
}

struct Args {
  const Bf16 *a, *b;  // b is the matrix of the first group, or x
  const std::int32_t* offsets;
  void* out;  // bfloat16, or float32 to be added to
  std::int64_t E, M;
  std::int64_t rows, columns, terms;  // of a group's product; -1: as many as the group has rows
};

// A piece of the output.
struct Tile {
  std::int64_t group, first_token;    // of the group
  std::int64_t row, column;           // its first ones, in the group's product
  std::int64_t rows, columns, terms;  // that it has; no tile: terms = 0
};

// The number of the first tile of each group, and of all tiles, to shared memory. All threads call
// it together.
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
  while (group < args.E && number >= first_tile[group + 1])
    ++group;
  if (group >= args.E) return {};
  const std::int64_t begin = args.offsets[group], in_group = args.offsets[group + 1] - begin;
  constexpr bool kTermsAreTokens = kProduct == Product::kWeightGradient;
  const auto rows = kTermsAreTokens ? args.rows : in_group;
  const auto row_tiles = divide_up(rows, kTileRows),
             column_tiles = divide_up(args.columns, kTileColumns);
  const auto inside = number - first_tile[group];
  const auto panel = inside / (kPanel * column_tiles), in_panel = inside % (kPanel * column_tiles);
  const auto panel_rows = min(std::int64_t{kPanel}, row_tiles - panel * kPanel);
  const auto row = (panel * kPanel + in_panel % panel_rows) * kTileRows;
  const auto column = in_panel / panel_rows * kTileColumns;
  return {.group = group,
          .first_token = begin,
          .row = row,
          .column = column,
          .rows = min(rows - row, std::int64_t{kTileRows}),
          .columns = min(args.columns - column, std::int64_t{kTileColumns}),
          .terms = kTermsAreTokens ? in_group : args.terms};
}

// The first row of a tile in out, of all groups.
template <Product kProduct>
__device__ std::int64_t first_row(const Args& args, const Tile& tile) {
  const bool is_of_matrices = kProduct == Product::kWeightGradient;
  return tile.row + (is_of_matrices ? tile.group * args.rows : tile.first_token);
}

// Writes two neighbours of the output, of which each has one writer. What is added to is not waited
// for: the memory adds, in the same way whenever it does.
template <Product kProduct>
__device__ void write_pair(const Args& args, std::int64_t at, float left, float right) {
  if constexpr (kProduct == Product::kWeightGradient) {
    float* const to = static_cast<float*>(args.out) + at;
#if __CUDA_ARCH__ >= 900
    atomicAdd(reinterpret_cast<float2*>(to), make_float2(left, right));
#else
    atomicAdd(to, left);
    atomicAdd(to + 1, right);
#endif
  } else {
    store_pair(static_cast<Bf16*>(args.out) + at, left, right);
  }
}

// As many as can run at once, one on each.
inline unsigned num_multiprocessors() {
  int device = 0, count = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
        "cudaDeviceGetAttribute");
  return static_cast<unsigned>(count);
}

// Queue a product: with Hopper's own units, or with those that older and newer GPUs have too.
void launch_on_hopper(const Args& args, Product product, Stream& stream, const char* operation);
void launch_anywhere(const Args& args, Product product, Stream& stream, const char* operation);

}  // namespace fulgur::cuda::tensor_cores
