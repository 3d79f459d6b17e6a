#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Grouped-query softmax attention over spans. A span pairs a run of queries with a run of keys; query
// q_begin + i sees the keys k_begin + j with j <= i + shift. A packed sequence has one span per document
// with shift 0; a block pair of ring attention, or a query behind a KV cache, has another shift.
//   spans [P, 5] int32: q_begin, q_end, k_begin, k_end, shift. No query in two spans of one call.
//   q, o [T, H, d]   k, v [S, G, d]   (strided; head h reads KV head h / (H / G))   lse [T, H] float32
// A query that sees no key gets o = 0 and lse = -inf.
struct SoftmaxAttentionForward {
  Tensor q, k, v, spans;
  float scale = 1.0f;  // 1 / sqrt(d)
  Tensor o, lse;
};
// Adds to dq, dk, dv. o and lse are those of the whole softmax (after any merge over blocks).
struct SoftmaxAttentionBackward {
  Tensor dout, q, k, v, o, lse, spans;
  float scale = 1.0f;
  Tensor dq, dk, dv;
};
void softmax_attention_forward(const SoftmaxAttentionForward& args, Stream& stream);
void softmax_attention_backward(const SoftmaxAttentionBackward& args, Stream& stream);

}  // namespace fulgur
