#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Merges softmax attention over two sets of keys, as kernels/softmax_attention.hpp gives it for
// each set, to that over both:
//
//   lse = log(exp(lse) + exp(part_lse))
//   o   = exp(old lse - lse) o + exp(part_lse - lse) part_o
//
// A query that saw no key on one side has lse = -inf there and keeps the other side's result; with
// none on either side it keeps o = 0 and lse = -inf.
//
//   o, part_o  [T, H, d]  each float32, or bfloat16 on a GPU, strided in T and H
//   lse, part_lse  [T, H]  float32, dense
//
// Throws std::invalid_argument, naming the tensor, when dims or dtypes do not fit together. The
// part may overlap nothing that is written. Cost: one pass over o and part_o.
struct SoftmaxMerge {
  Tensor part_o, part_lse;
  Tensor o, lse;  // both read and written
};
void softmax_merge(const SoftmaxMerge& args, Stream& stream);

}  // namespace fulgur
