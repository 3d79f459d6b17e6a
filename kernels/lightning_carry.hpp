#pragma once

#include "kernels/lightning_attention.hpp"

namespace fulgur {

// Lightning attention of a sequence in chunks, which may lie on several ranks: what joins them
// (docs/math.md 2.2). Shapes, slots and powers of lambda = exp(-decay_rate[h]) are those of
// kernels/lightning_attention.hpp; t = 1 .. n counts inside a segment. q, k, v, o, dk and dv [T, H,
// d] are float32; or, on a GPU, all bfloat16, of any d: then a sum is rounded once for each call.
//
// Each call throws std::invalid_argument, naming the tensor, when dims or dtypes do not fit
// together. Starts that do not run from 0 to T, and slots outside their table, are found on the CPU
// when the queued work runs. Results may overlap nothing else.

// The states that stand at some places of a sequence, made of the states of earlier chunks. For
// place p, in rising order of j:
//
//   out[p] = sum over j with distance[p][j] >= 0 of lambda^distance[p][j] states[j]
//
// distance is the number of tokens from the end of chunk j to place p, or -1 where nothing comes
// through: j is not before p, or a document starts between them. With the table of the other
// direction the gradients of states are folded from the right. States without a distance >= 0 are
// not read. Cost: O(P H d d) and d d more for each distance >= 0 and head.
struct LightningFold {
  Tensor states;      // [J, H, d, d] float32
  Tensor distance;    // [P, J] int32
  Tensor decay_rate;  // [H] float32
  Tensor out;         // [P, H, d, d] float32
  bool add = false;   // to what out holds
};
void lightning_fold(const LightningFold& args, Stream& stream);

// What an incoming state adds to outputs that were calculated without it: for each segment with an
// in_slot,
//
//   o_t += lambda^t q_t S        S = states_in[in_slot]
//
// Cost: O(d d) for each token and head of these segments, but for those so far behind the state
// that lambda^t is 0 in float32.
struct LightningCarryForward {
  Tensor q, decay_rate;
  LightningSegments segments;
  Tensor states_in;
  Tensor o;
};
void lightning_carry_forward(const LightningCarryForward& args, Stream& stream);

// What the gradient of a leaving state adds to dk and dv that were calculated without it: for each
// segment with an out_slot,
//
//   dk_t += lambda^(n-t) v_t G^T      dv_t += lambda^(n-t) k_t G      G = dstates_out[out_slot]
//
// Cost: twice that of the forward call.
struct LightningCarryBackward {
  Tensor k, v, decay_rate;
  LightningSegments segments;
  Tensor dstates_out;
  Tensor dk, dv;
};
void lightning_carry_backward(const LightningCarryBackward& args, Stream& stream);

}  // namespace fulgur
