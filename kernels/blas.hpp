#pragma once

#include <cblas.h>

#include <algorithm>
#include <cstdint>

namespace fulgur::cpu {

// A block of float32 rows inside a larger tensor, for products of blocks. Private to the CPU
// sources.
struct Block {
  const float* data;
  std::int64_t stride;  // from row to row
  CBLAS_TRANSPOSE transpose = CblasNoTrans;
};
inline Block transposed(Block block) {
  return {block.data, block.stride, CblasTrans};
}
struct Target {
  float* data;
  std::int64_t stride;
  float beta = 0.0f;  // 0 overwrites, 1 adds

  Block block() const { return {data, stride}; }
};

struct Extents {
  std::int64_t m, n, k;
};

// c = op(a) op(b) + beta c with op(a) [m, k], op(b) [k, n]. Strides are at least the row lengths.
inline void multiply(Extents extents, Block a, Block b, Target c) {
  const auto [m, n, k] = extents;
  const auto leading = [](std::int64_t stride) {
    return static_cast<int>(std::max<std::int64_t>(stride, 1));
  };
  cblas_sgemm(CblasRowMajor, a.transpose, b.transpose, static_cast<int>(m), static_cast<int>(n),
              static_cast<int>(k), 1.0f, a.data, leading(a.stride), b.data, leading(b.stride),
              c.beta, c.data, leading(c.stride));
}

}  // namespace fulgur::cpu
