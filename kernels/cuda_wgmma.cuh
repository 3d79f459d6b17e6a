#pragma once

#include <cuda.h>
#include <cuda_bf16.h>

#include <cstdint>

#include "kernels/cuda_tensor_cores.cuh"
#include "kernels/cuda_wgmma_products.cuh"

// What a kernel on Hopper's own units needs (compute capability 9.0, built as sm_90a): the copy
// engine (TMA), its barriers, and products of a warpgroup (wgmma), whose operands lie in shared
// memory.
//
// Operands lie there as the copy engine writes them with a swizzle of 128 bytes: in boxes of lines
// of 64 elements. A box begins at a multiple of 1024 bytes. Either a line is 64 terms of a row (or
// column) of the product, 8 lines to a block of 1024 bytes; or a line is 64 rows for one term:
// "transposed".
#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#pragma nv_diag_suppress 177  // in code for other GPUs these kernels are empty, and use nothing
#endif

namespace fulgur::cuda::hopper {

inline constexpr int kLine = 64;  // elements
inline constexpr int kLineBytes = 128;
inline constexpr std::uint64_t kBlockBytes = 1024;  // eight lines

// Whether the device at hand is one.
bool is_here();

// How the copy engine brings boxes of [lines, kLine] out of a dense tensor [outer, rows, columns]
// of bfloat16, with zeros for what lies outside it. `data` and the columns are multiples of 16
// bytes.
CUtensorMap boxes_of(const void* data, std::int64_t outer, std::int64_t rows, std::int64_t columns,
                     int lines);

// A barrier in shared memory that completes when `count` arrivals, and all bytes announced for it,
// are there; then it starts again. Its phases alternate between 0 and 1.
struct Barrier {
  std::uint64_t state;

  __device__ void begin(int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&state)),
                 "r"(count));
  }
  __device__ void arrive() {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&state))
                 : "memory");
  }
  __device__ void arrive_and_expect(int bytes) {
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&state)),
        "r"(bytes)
        : "memory");
  }
  // Until the phase is over.
  __device__ void wait(int phase) {
    asm volatile(
        "{.reg .pred over;\n"
        "again: mbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;\n"
        "@!over bra again;}\n" ::"r"(shared_address(&state)),
        "r"(phase)
        : "memory");
  }
};

// Makes what begin() wrote visible to the copy engine.
__device__ inline void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
// Makes what threads wrote to shared memory visible to products.
__device__ inline void publish_writes() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// Begins to bring the box at (column, row, outer) to shared memory.
__device__ inline void begin_box(const CUtensorMap& map, void* to, Barrier& barrier, int column,
                                 int row, int outer) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, "
      "{%2, %3, %4}], [%5];" ::"r"(shared_address(to)),
      "l"(&map), "r"(column), "r"(row), "r"(outer), "r"(shared_address(&barrier.state))
      : "memory");
}

// How a product finds an operand. From one 64 rows of a transposed operand to the next are
// `box_bytes`.
__device__ inline std::uint64_t operand(const void* at, std::uint64_t box_bytes = kBlockBytes) {
  constexpr std::uint64_t kSwizzle128 = 1;
  return (std::uint64_t{shared_address(at)} & 0x3ffff) >> 4 | box_bytes >> 4 << 16 |
         kBlockBytes >> 4 << 32 | kSwizzle128 << 62;
}
// From 16 terms of an operand to the next, in what operand() gives.
template <bool kTransposed>
inline constexpr std::uint64_t kNextTerms = (kTransposed ? 2 * kBlockBytes : 32) >> 4;

// Products are queued: between begin_products() and end_products() nobody else may touch their
// sums, and wait_for_products<n>() leaves the n latest batches at work.
__device__ inline void begin_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void end_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kBatches>
__device__ __forceinline__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kBatches) : "memory");
}

// Sums are read behind this, not before.
template <int kTiles>
__device__ __forceinline__ void hold(Sums (&sums)[kTiles]) {
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
#pragma unroll
    for (int c = 0; c < 4; ++c)
      asm volatile("" : "+f"(sums[n].c[c])::"memory");
  }
}

// A matrix in shared memory whose rows are terms of a product, or whose columns are: boxes of 64
// columns, as the copy engine would write them. What threads write is published before it is
// multiplied.
template <int kRows, int kColumns>
struct alignas(kBlockBytes) Boxes {
  static constexpr int kNumRows = kRows, kNumColumns = kColumns;
  static constexpr int kBoxBytes = kRows * kLineBytes;
  static_assert(kColumns % kLine == 0);
  Bf16 data[kColumns / kLine][kRows * kLine];
};
template <int kRows, int kColumns>
__device__ Bf16* piece(Boxes<kRows, kColumns>& x, int row, int column) {
  return x.data[column / kLine] + row * kLine + ((column % kLine) ^ (row % 8 * 8));
}

// Queues sums = a[row .. +64][:] b^T.
template <int kTiles, int kRows, int kColumns>
__device__ __forceinline__ void multiply_rows(Sums (&sums)[kTiles], const Boxes<kRows, kColumns>& a,
                                              int row, const Boxes<kTiles * 8, kColumns>& b) {
#pragma unroll
  for (int x = 0; x < kColumns; x += 16) {
    const auto step = x % kLine / 16 * kNextTerms<false>;
    multiply_add_async<false, false>(sums, operand(a.data[x / kLine] + row * kLine) + step,
                                     operand(b.data[x / kLine]) + step, x > 0);
  }
}
// Queues sums += a b, a in registers.
template <int kSteps, int kColumns>
__device__ __forceinline__ void add_rows(Sums (&sums)[kColumns / 8], const A (&a)[kSteps],
                                         const Boxes<kSteps * 16, kColumns>& b) {
#pragma unroll
  for (int i = 0; i < kSteps; ++i)
    multiply_add_async<true>(sums, a[i], operand(b.data[0], b.kBoxBytes) + i * kNextTerms<true>,
                             true);
}
// Sums, rounded, as operands.
template <int kTiles>
__device__ __forceinline__ void pack_rows(const Sums (&sums)[kTiles], A (&to)[kTiles / 2]) {
#pragma unroll
  for (int i = 0; i < kTiles / 2; ++i)
    to[i] = pack(sums[2 * i], sums[2 * i + 1]);
}

// The first multiple of kBlockBytes in dynamic shared memory, of which there are kBlockBytes more.
template <class Shared>
__device__ Shared& shared_memory() {
  extern __shared__ uint4 memory[];
  const auto behind = shared_address(memory) % kBlockBytes;
  auto* const begin = reinterpret_cast<char*>(memory) + (kBlockBytes - behind) % kBlockBytes;
  return *reinterpret_cast<Shared*>(begin);
}
template <class Shared>
inline constexpr std::size_t kSharedBytes = sizeof(Shared) + kBlockBytes;

// How many registers each thread of this warpgroup has from now on.
template <int kRegisters>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void leave_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

}  // namespace fulgur::cuda::hopper
