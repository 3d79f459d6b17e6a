#include <cuda_runtime.h>

#include "kernels/cuda_grouped_matmul.cuh"
#include "kernels/cuda_wgmma.cuh"

// Grouped products of bfloat16 with Hopper's copy engine and products of warpgroups, with float32
// sums. As many thread blocks as the GPU has multiprocessors share the tiles of all groups, which
// every block counts itself from the offsets. One warpgroup brings operands, up to kStages steps of
// kDepth terms ahead, also over the end of a tile; two multiply, and have [64, 256] of the tile
// each.
//
//   E groups, M rows, x [M, K], w [E, N, K], y [M, N]
namespace fulgur::cuda::tensor_cores {
namespace {

constexpr int kDepth = hopper::kLine;
constexpr int kStages = 4;
constexpr int kGroup = 128;  // threads of a warpgroup
constexpr int kMultipliers = 2;
constexpr int kNumThreads = (1 + kMultipliers) * kGroup;
constexpr int kRowsOfGroup = kTileRows / kMultipliers;
constexpr int kBoxBytes = kDepth * hopper::kLineBytes;  // of 64 lines, for 64 rows or columns
constexpr int kStageBytes = (kTileRows + kTileColumns) * hopper::kLineBytes;

// 4 x (128 + 256) x 64 x 2 B = 192 KiB and the tiles' numbers
struct Shared {
  struct {
    Bf16 a[kTileRows * kDepth], b[kTileColumns * kDepth];
  } stages[kStages];
  hopper::Barrier full[kStages], empty[kStages];
  std::int32_t first_tile[kMostGroups + 1];  // of each group, counted over all groups
};

struct Operands {
  CUtensorMap a, b;
};

// Where in the ring of stages a warpgroup is.
struct Position {
  int stage = 0, phase = 0;
  __device__ void next() {
    stage = (stage + 1) % kStages;
    if (stage == 0) phase ^= 1;
  }
};

// One thread brings all steps of the block's tiles.
template <Product kProduct>
__device__ void bring(const Operands& operands, const Args& args, Shared& shared) {
  Position at;
  std::int64_t group = 0;
  for (std::int64_t number = blockIdx.x; number < shared.first_tile[args.E]; number += gridDim.x) {
    const auto tile = tile_at<kProduct>(args, shared.first_tile, number, group);
    const int row = static_cast<int>(tile.row), column = static_cast<int>(tile.column);
    const int token = static_cast<int>(tile.first_token), g = static_cast<int>(tile.group);
    for (int term = 0; term < tile.terms; term += kDepth) {
      auto& full = shared.full[at.stage];
      auto* const a = shared.stages[at.stage].a;
      auto* const b = shared.stages[at.stage].b;
      shared.empty[at.stage].wait(at.phase ^ 1);
      full.arrive_and_expect(kStageBytes);
      if constexpr (a_is_by_rows(kProduct)) {
        hopper::begin_box(operands.a, a, full, term, token + row, 0);
      } else {
        for (int i = 0; i < kTileRows; i += kDepth)
          hopper::begin_box(operands.a, a + i * kDepth, full, row + i, token + term, 0);
      }
      if constexpr (b_is_by_rows(kProduct)) {
        hopper::begin_box(operands.b, b, full, term, column, g);
      } else {
        const int line = kProduct == Product::kWeightGradient ? token + term : term;
        const int outer = kProduct == Product::kWeightGradient ? 0 : g;
        for (int i = 0; i < kTileColumns; i += kDepth)
          hopper::begin_box(operands.b, b + i * kDepth, full, column + i, line, outer);
      }
      at.next();
    }
  }
}

__device__ void synchronize_multipliers() {
  asm volatile("bar.sync 1, %0;" ::"n"(kMultipliers * kGroup) : "memory");
}

// Where the terms are the rows of a group: those of the next group become zeros.
__device__ void clear_terms(int first, Bf16* stage) {
  constexpr int kPieces = hopper::kLineBytes / 16, kBoxes = kStageBytes / kBoxBytes;
  const int lines = kDepth - first;
  auto* const pieces = reinterpret_cast<uint4*>(stage);
  for (int i = static_cast<int>(threadIdx.x) - kGroup; i < kBoxes * lines * kPieces;
       i += kMultipliers * kGroup) {
    const int line = first + i / kPieces % lines, box = i / (kPieces * lines);
    pieces[(box * kDepth + line) * kPieces + i % kPieces] = make_uint4(0, 0, 0, 0);
  }
  hopper::publish_writes();
  synchronize_multipliers();
}

using Piece = Sums[kTileColumns / 8];

template <Product kProduct>
__device__ void write(const Args& args, const Tile& tile, const Piece& piece, int top) {
  const auto first = first_row<kProduct>(args, tile);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = top + warp() % 4 * 16 + half * 8 + lane() / 4;
    if (row >= tile.rows) continue;
    const auto at = (first + row) * args.columns + tile.column;
#pragma unroll
    for (int j = 0; j < kTileColumns / 8; ++j) {
      const int c = 8 * j + lane() % 4 * 2;
      if (c < tile.columns)
        write_pair<kProduct>(args, at + c, piece[j].c[2 * half], piece[j].c[2 * half + 1]);
    }
  }
}

// One of the warpgroups that multiply.
template <Product kProduct>
__device__ void multiply(const Args& args, Shared& shared, int index) {
  constexpr bool kA = !a_is_by_rows(kProduct), kB = !b_is_by_rows(kProduct);  // transposed
  Position at;
  std::int64_t group = 0;
  const bool speaks = threadIdx.x % kGroup == 0;
  for (std::int64_t number = blockIdx.x; number < shared.first_tile[args.E]; number += gridDim.x) {
    const auto tile = tile_at<kProduct>(args, shared.first_tile, number, group);
    Piece piece;
    for (int term = 0; term < tile.terms; term += kDepth) {
      auto& stage = shared.stages[at.stage];
      shared.full[at.stage].wait(at.phase);
      if (kProduct == Product::kWeightGradient && term + kDepth > tile.terms)
        clear_terms(static_cast<int>(tile.terms) - term, stage.a);
      const auto a = hopper::operand(stage.a + index * kRowsOfGroup * kDepth);
      const auto b = hopper::operand(stage.b, kBoxBytes);
      hopper::begin_products();
#pragma unroll
      for (int i = 0; i < kDepth / 16; ++i)
        hopper::multiply_add_async<kA, kB>(piece, a + i * hopper::kNextTerms<kA>,
                                           b + i * hopper::kNextTerms<kB>, term + i > 0);
      hopper::end_products();
      if (term > 0) {
        hopper::wait_for_products<1>();
        if (speaks) shared.empty[(at.stage + kStages - 1) % kStages].arrive();
      }
      at.next();
    }
    hopper::wait_for_products<0>();
    hopper::hold(piece);
    if (speaks) shared.empty[(at.stage + kStages - 1) % kStages].arrive();
    write<kProduct>(args, tile, piece, index * kRowsOfGroup);
  }
}

template <Product kProduct>
__global__ void __launch_bounds__(kNumThreads, 1)
    wgmma_kernel(const __grid_constant__ Operands operands, const Args args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  auto& shared = hopper::shared_memory<Shared>();
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      shared.full[i].begin(1);
      shared.empty[i].begin(kMultipliers);
    }
    hopper::publish_barriers();
  }
  count_tiles<kProduct>(args, shared.first_tile);
  // A multiprocessor has 65536 registers: 128 x 40 + 256 x 232 of them are given out.
  if (threadIdx.x < kGroup) {
    hopper::leave_registers<40>();
    if (threadIdx.x == 0) bring<kProduct>(operands, args, shared);
  } else {
    hopper::take_registers<232>();
    multiply<kProduct>(args, shared, static_cast<int>(threadIdx.x) / kGroup - 1);
  }
#else
  __trap();
#endif
}

template <Product kProduct>
void launch(const Args& args, Stream& stream, const char* operation) {
  const auto E = args.E, M = args.M;
  Operands operands;
  if constexpr (kProduct == Product::kWeightGradient) {
    operands.a = hopper::boxes_of(args.a, 1, M, args.rows, kDepth);
    operands.b = hopper::boxes_of(args.b, 1, M, args.columns, kDepth);
  } else {
    operands.a = hopper::boxes_of(args.a, 1, M, args.terms, kTileRows);
    operands.b = kProduct == Product::kForward
                     ? hopper::boxes_of(args.b, E, args.columns, args.terms, kTileColumns)
                     : hopper::boxes_of(args.b, E, args.terms, args.columns, kDepth);
  }
  constexpr auto kBytes = hopper::kSharedBytes<Shared>;
  allow_shared_memory(wgmma_kernel<kProduct>, kBytes, operation);
  wgmma_kernel<kProduct>
      <<<num_multiprocessors(), kNumThreads, kBytes, native(stream)>>>(operands, args);
  check_launch(operation);
}

}  // namespace

void launch_on_hopper(const Args& args, Product product, Stream& stream, const char* operation) {
  with_product(product, [&]<Product kProduct>() { launch<kProduct>(args, stream, operation); });
}

}  // namespace fulgur::cuda::tensor_cores
