#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// The documents, or pieces of documents, in a packed run of T tokens. Segment s holds the tokens
// starts[s] .. starts[s+1]-1. A state slot is a [H, d, d] matrix in a caller's table of states; -1 says
// that a segment has none: it starts from zero, or nobody wants its last state.
struct LightningSegments {
  Tensor starts;    // [S + 1] int32, from 0 to T
  Tensor in_slot;   // [S] int32: the state that enters the segment
  Tensor out_slot;  // [S] int32: the state that leaves it
};

// Four calls, so that an exchange between ranks fits between state and output (LASP+).
//
//   q, k, v, o, do, dq, dk, dv  [T, H, d], strided in T and H     decay_rate [H] float32, s of MATH.md
//   states_in, states_out, ...  [slots, H, d, d] float32

// states[out_slot] = sum over the segment of lambda^(n-j) k_j^T v_j: from a zero start.
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
// incoming state as far as this segment goes.
struct LightningStateBackward {
  Tensor q, dout, decay_rate;
  LightningSegments segments;
  Tensor dstates;
};
// dq, dk, dv (overwritten), with states_in[in_slot] and the gradient dstates_out[out_slot] with respect
// to the state that leaves the segment.
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
