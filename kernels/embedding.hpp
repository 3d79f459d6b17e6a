#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// The rows of a table that belong to token ids, or of a part of the table: the ids first_id ..
// first_id + V - 1.
//
//   ids [T] int32   weight [V, C]   y, dy [T, C]   dweight [V, C] float32      all dense
//
// weight, y and dy are float32, or all bfloat16 on a GPU.
//
// y[t] = weight[ids[t] - first_id], and zeros for an id outside the part: so the sum of y over the
// parts of a table is the y of the whole table.
struct EmbeddingForward {
  Tensor ids, weight, y;
  std::int32_t first_id = 0;
};

// dweight[ids[t] - first_id] += dy[t], token by token in rising t, so that the bits do not vary. Ids
// outside the part add nothing.
struct EmbeddingBackward {
  Tensor ids, dy, dweight;
  std::int32_t first_id = 0;
};

// Throw std::invalid_argument, naming the tensor, when dims or dtypes do not fit together.
// Cost: O(T C); backward on a GPU O(T C + V).
void embedding_forward(const EmbeddingForward& args, Stream& stream);
void embedding_backward(const EmbeddingBackward& args, Stream& stream);

}  // namespace fulgur
