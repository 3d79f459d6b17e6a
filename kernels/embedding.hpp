#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// y[t] = weight[ids[t] - first_id]; a row of zeros for an id outside [first_id, first_id + V).
//   ids [T] int32   weight [V, C]   y [T, C]
struct EmbeddingForward {
  Tensor ids, weight, y;
  std::int32_t first_id = 0;
};
// dweight[ids[t] - first_id] += dy[t], in token order.     dweight [V, C] float32
struct EmbeddingBackward {
  Tensor ids, dy, dweight;
  std::int32_t first_id = 0;
};
void embedding_forward(const EmbeddingForward& args, Stream& stream);
void embedding_backward(const EmbeddingBackward& args, Stream& stream);

}  // namespace fulgur
