#pragma once

#include <cuda_bf16.h>

#include <cstdint>
#include <cstring>

#include "kernels/cuda_floats.cuh"
#include "kernels/cuda_launch.cuh"

// Products of bfloat16 on tensor cores with float32 sums, by warp (mma.sync, 16 x 8 x 16, on GPUs
// of compute capability 8.0 and later), and what brings the operands there. In a warp g = lane / 4
// and t = lane % 4:
//
//   sums  [16, 8]    c0 c1: row g, columns 2t 2t+1            c2 c3: row g + 8
//   a     [16, 16]   a0: row g, columns 2t 2t+1   a1: row g + 8   a2, a3: the same 8 columns on
//   b     [16, 8]    b0: rows 2t 2t+1, column g   b1: 8 rows on
//
// So the sums of two products side by side are, rounded, the operand a of the next.
namespace fulgur::cuda {

using Bf16 = __nv_bfloat16;

struct Sums {
  float c[4];
};
struct A {
  std::uint32_t r[4];
};
struct B {
  std::uint32_t r[2];
};

__device__ inline int lane() {
  return static_cast<int>(threadIdx.x) % kWarp;
}
__device__ inline int warp() {
  return static_cast<int>(threadIdx.x) / kWarp;
}

__device__ inline void multiply_add(Sums& sums, const A& a, const B& b) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(sums.c[0]), "+f"(sums.c[1]), "+f"(sums.c[2]), "+f"(sums.c[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
}

__device__ inline std::uint32_t pack(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  std::uint32_t bits;
  memcpy(&bits, &pair, sizeof(bits));
  return bits;
}
// The sums of [16, 16], rounded, as an operand.
__device__ inline A pack(const Sums& left, const Sums& right) {
  return {{pack(left.c[0], left.c[1]), pack(left.c[2], left.c[3]), pack(right.c[0], right.c[1]),
           pack(right.c[2], right.c[3])}};
}

__device__ inline std::uint32_t shared_address(const void* at) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(at));
}

// Four 8 x 8 matrices, the rows of matrix m at the addresses of lanes 8 m .. 8 m + 7; as they lie,
// or transposed.
__device__ inline A load_four(const Bf16* row) {
  A out;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(out.r[0]), "=r"(out.r[1]), "=r"(out.r[2]), "=r"(out.r[3])
               : "r"(shared_address(row)));
  return out;
}
__device__ inline A load_four_transposed(const Bf16* row) {
  A out;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(out.r[0]), "=r"(out.r[1]), "=r"(out.r[2]), "=r"(out.r[3])
               : "r"(shared_address(row)));
  return out;
}

// A matrix in shared memory without gaps: the 16-byte pieces of a row change places with the row,
// so that eight rows of a column of pieces lie in different banks.
template <int kRows, int kColumns>
struct Swizzled {
  static constexpr int kPiece = 8;  // elements
  static constexpr int kNumRows = kRows, kNumColumns = kColumns;
  static_assert(kColumns % (8 * kPiece) == 0);
  Bf16 data[kRows * kColumns];
};

// The piece that begins at x[row][column], of a matrix with padded rows or of a swizzled one.
template <int kRows, int kColumns>
__device__ const Bf16* piece(const Bf16 (&x)[kRows][kColumns], int row, int column) {
  return &x[row][column];
}
template <int kRows, int kColumns>
__device__ const Bf16* piece(const Swizzled<kRows, kColumns>& x, int row, int column) {
  return x.data + row * kColumns + (column ^ (row % 8 * 8));
}
template <int kRows, int kColumns>
__device__ Bf16* piece(Swizzled<kRows, kColumns>& x, int row, int column) {
  return x.data + row * kColumns + (column ^ (row % 8 * 8));
}

// a = x[row .. +16][column .. +16]
template <class Matrix>
__device__ A load_a(const Matrix& x, int row, int column) {
  return load_four(piece(x, row + lane() % 16, column + lane() / 16 * 8));
}
// a = the transpose of x[row .. +16][column .. +16]: rows of a are columns of x
template <class Matrix>
__device__ A load_a_transposed(const Matrix& x, int row, int column) {
  return load_four_transposed(
      piece(x, row + lane() / 16 * 8 + lane() % 8, column + lane() / 8 % 2 * 8));
}
// b, b + 8 columns = x[row .. +16][column .. +16]
template <class Matrix>
__device__ void load_two_b(const Matrix& x, int row, int column, B& left, B& right) {
  const A four = load_four_transposed(piece(x, row + lane() % 16, column + lane() / 16 * 8));
  left = {four.r[0], four.r[1]};
  right = {four.r[2], four.r[3]};
}
// b, b + 8 columns = the transpose of x[row .. +16][column .. +16]: columns of b are rows of x
template <class Matrix>
__device__ void load_two_b_transposed(const Matrix& x, int row, int column, B& left, B& right) {
  const A four =
      load_four(piece(x, row + lane() / 16 * 8 + lane() % 8, column + lane() / 8 % 2 * 8));
  left = {four.r[0], four.r[1]};
  right = {four.r[2], four.r[3]};
}

// Begins to bring kBytes (4 or 16) to shared memory, zeros unless `inside`; then `from` is not
// read. All that a thread has begun is there behind wait_for_copies(); end_batch() counts what has
// begun since the last call as one batch, and wait_for_batches<n>() leaves the n latest batches on
// their way. Other threads see it behind a barrier.
template <int kBytes = 16>
__device__ void begin_copy(void* to, const void* from, bool inside = true) {
  const int bytes = inside ? kBytes : 0;
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(bytes)
                 : "memory");
  }
}
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}
__device__ inline void end_batch() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int kBatches>
__device__ void wait_for_batches() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kBatches) : "memory");
}

// Writes two neighbours of bfloat16; `to` is aligned to four bytes.
__device__ inline void store_pair(Bf16* to, float left, float right) {
  *reinterpret_cast<std::uint32_t*>(to) = pack(left, right);
}

// Whether rows of d elements can be brought in pieces of 16 bytes: all their addresses are
// multiples.
inline bool has_whole_pieces(const Tensor& tensor) {
  constexpr std::int64_t kPiece = 8;  // elements
  bool is_whole = reinterpret_cast<std::uintptr_t>(tensor.data) % 16 == 0 &&
                  tensor.dims[tensor.dims.size() - 1] % kPiece == 0;
  for (int dim = 0; dim + 1 < tensor.dims.size(); ++dim)
    is_whole = is_whole && (tensor.dims[dim] <= 1 || tensor.strides[dim] % kPiece == 0);
  return is_whole;
}

}  // namespace fulgur::cuda
