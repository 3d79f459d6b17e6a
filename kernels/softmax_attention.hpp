#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Grouped-query softmax attention over spans. For query i and head h, over the keys j that i sees:
//
//   lse_i = log sum_j exp(scale q_i k_j)        o_i = sum_j exp(scale q_i k_j - lse_i) v_j
//
// A span pairs a run of queries with a run of keys; query q_begin + i sees the keys k_begin + j
// with j <= i + shift. A packed sequence has one span per document with shift 0; a block pair of
// ring attention, or a query behind a KV cache, has another shift. A query that sees no key, in a
// span or outside all spans, gets o = 0 and lse = -inf. So the results (o1, lse1), (o2, lse2) of
// two sets of keys merge to that of both: lse = log(exp(lse1) + exp(lse2)), o = exp(lse1 - lse) o1
// + exp(lse2 - lse) o2.
//
//   q, o, dout   [T, H, d]   strided in T and H      lse    [T, H]  float32, dense
//   k, v         [S, G, d]   strided in S and G      spans  [P, 5]  int32, dense
//
// q, k, v, o and dout are float32; or, on a GPU, all bfloat16. Sums, weights' exponentials and lse
// are float32. Of bfloat16 with d up to 128, a multiple of 8, in rows that begin at multiples of 16
// bytes, products are on tensor cores: then weights and ds are rounded to bfloat16 where they enter
// one.
//
// The five numbers of a span are q_begin, q_end, k_begin, k_end, shift.
//
// H is a multiple of G; head h reads the KV head h / (H / G). No query lies in two spans of one
// call. Work goes in tiles with a running maximum and sum (FlashAttention-2, arXiv 2307.08691): no
// matrix of queries by keys is ever held. o may overlap nothing else.
//
// Both calls throw std::invalid_argument, naming the tensor, when dims or dtypes do not fit
// together. Spans that reach outside the tensors are found on the CPU when the queued work runs.
// Cost: O(visible pairs H d); scratch of a few tiles.
struct SoftmaxAttentionForward {
  Tensor q, k, v, spans;
  float scale = 1.0f;  // 1 / sqrt(d)
  Tensor o, lse;
};

// Adds to dq, dk, dv, which have the dims of q, k, v. All three are float32 (also beside bfloat16,
// as sums over several calls), or bfloat16 where q is, rounded once for each call. o and lse are
// those of the whole softmax (after any merge), also when k, v and the spans are a part of the
// keys: the parts then add up to the whole gradient. With p_ij = exp(scale q_i k_j - lse_i):
//
//   dv_j += sum_i p_ij do_i
//   ds_ij = p_ij (do_i v_j - do_i o_i)
//   dq_i += scale sum_j ds_ij k_j        dk_j += scale sum_i ds_ij q_i
struct SoftmaxAttentionBackward {
  Tensor dout, q, k, v, o, lse, spans;
  float scale = 1.0f;
  Tensor dq, dk, dv;
};
void softmax_attention_forward(const SoftmaxAttentionForward& args, Stream& stream);
void softmax_attention_backward(const SoftmaxAttentionBackward& args, Stream& stream);

}  // namespace fulgur
