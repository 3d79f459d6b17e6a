#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Lightning attention: causal linear attention in which head h forgets at a fixed rate. With
// lambda = exp(-decay_rate[h]), for every head and segment on its own, t = 1 .. n inside the
// segment:
//
//   S_t = lambda S_{t-1} + k_t^T v_t        S_0 = the incoming state, or zero
//   o_t = q_t S_t
//
// A state is S just behind a token: it holds no decay toward the next one. So S_n of a segment is
// S_0 of the next, and a segment of n tokens turns S_0 into lambda^n S_0 + M, where M is its state
// from a zero start. q is used as it is: no 1/sqrt(d).
//
//   q, k, v, o, dout, dq, dk, dv   [T, H, d]         float32, or all bfloat16; strided in T and H
//   decay_rate                     [H]               float32, >= 0, per token
//   states, states_in, ...         [slots, H, d, d]  float32, dense: key dim, then value dim
//
// Products are summed in float32, in blocks of tokens, with powers of lambda between 0 and 1 only.
// bfloat16 is for GPUs, for d up to 128 (tensor cores); then scores, states and decayed keys are
// rounded to bfloat16 where they enter a product, and states are carried in float32.
// docs/math.md, sections 1.1 and 2.2, has the block form and its derivative. Gradients are
// overwritten, and may overlap nothing else.
//
// Each call throws std::invalid_argument, naming the tensor, when dims or dtypes do not fit
// together. Starts that do not run from 0 to T, and slots outside their table, are found on the CPU
// when the queued work runs. Cost: O(T H d (d + block)); scratch of one block and one state.

// The documents, or pieces of documents, in a packed run of T tokens. Segment s holds the tokens
// starts[s] .. starts[s+1]-1, perhaps none. A state slot is a [H, d, d] matrix in a caller's table
// of states; -1 says that a segment has none: it starts from zero, or nobody wants its last state.
// A table may be empty (data == nullptr) when all slots that refer to it are -1.
struct LightningSegments {
  Tensor starts;    // [S + 1] int32, from 0 to T
  Tensor in_slot;   // [S] int32: the state that enters the segment
  Tensor out_slot;  // [S] int32: the state that leaves it; no two segments have the same
};

// There are four calls, so that an exchange of states between ranks fits between state and output.
//
// states[out_slot] = M = sum over the segment of lambda^(n-j) k_j^T v_j. Other slots keep what they
// hold.
struct LightningStateForward {
  Tensor k, v, decay_rate;
  LightningSegments segments;
  Tensor states;
};
// o_t = q_t S_t, S_t with the incoming state states_in[in_slot].
struct LightningOutputForward {
  Tensor q, k, v, decay_rate;
  LightningSegments segments;
  Tensor states_in;
  Tensor o;
};
// dstates[in_slot] = sum over the segment of lambda^t q_t^T do_t: the gradient with respect to the
// incoming state as far as this segment's outputs go. To it the caller adds lambda^n times the
// gradient of the leaving state. No two segments have the same in_slot here.
struct LightningStateBackward {
  Tensor q, dout, decay_rate;
  LightningSegments segments;
  Tensor dstates;
};
// dq, dk, dv, with states_in[in_slot] and the gradient dstates_out[out_slot] with respect to the
// state that leaves the segment.
struct LightningOutputBackward {
  Tensor q, k, v, dout, decay_rate;
  LightningSegments segments;
  Tensor states_in, dstates_out;
  Tensor dq, dk, dv;
};
void lightning_state_forward(const LightningStateForward& args, Stream& stream);
void lightning_output_forward(const LightningOutputForward& args, Stream& stream);
void lightning_state_backward(const LightningStateBackward& args, Stream& stream);
void lightning_output_backward(const LightningOutputBackward& args, Stream& stream);

}  // namespace fulgur
