#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "kernels/cuda_heads.cuh"

// What the float32 and the bfloat16 kernel of lightning attention share. All four calls are one
// sweep over a segment, block by block of tokens, with two roles of the tensors exchanged:
//
//   o_i = sum over j up to i of lambda^(i-j) (q_i k_j) v_j + lambda^(i+p) q_i X       i, j in a block of c
//   X  <- lambda^c X + sum over i of lambda^(c-i-p) k_i^T v_i                         behind the block
//
//   outputs   forward,  p = 1   q, k, v                X = the state that enters
//   dq        forward,  p = 1   do, v, k for q, k, v   X = its transpose
//   dk        backward, p = 0   v, do, q for q, k, v   X = the transposed gradient of the state that leaves
//   dv        backward, p = 0   k, q, do for q, k, v   X = that gradient
//   states    forward,  p = 1   k, v, and X is wanted at the end
//   dstates   backward, p = 0   q, do for k, v, and X is wanted at the end
//
// A backward sweep takes the tokens from the last to the first. p = 0 says that X stands at the
// token itself, not at the one before.
namespace fulgur::cuda::lightning {

enum class Direction : int { kForward = 1, kBackward = -1 };

// States [slots, H, d, d], or none. X is the transposed state when is_transposed.
struct States {
  float* data = nullptr;
  const std::int32_t* slot_of = nullptr;  // [segments]
  std::int64_t slots = 0;
  bool is_transposed = false;
};

// T is the type of an element.
template <class T>
struct Sweep {
  HeadsOf<T> q, k, v, o;
  States entering, leaving;
  const float* decay_rate;
  const std::int32_t* starts;
  std::int64_t num_tokens, num_heads, num_segments;
  int d;
  Direction direction;
  bool has_output;
};

// The [d, d] matrix of a slot and head; null for slot -1.
template <class T>
__device__ float* matrix_of(const States& states, const Sweep<T>& args, std::int64_t segment,
                            std::int64_t head) {
  if (states.slot_of == nullptr) return nullptr;
  const std::int64_t slot = states.slot_of[segment];
  if (slot < 0) return nullptr;
  require(slot < states.slots);
  return states.data + (slot * args.num_heads + head) * args.d * args.d;
}

__device__ inline std::int64_t place_in_matrix(const States& states, int row, int column, int d) {
  return states.is_transposed ? std::int64_t{column} * d + row : std::int64_t{row} * d + column;
}

// The tokens of a segment.
struct Tokens {
  std::int64_t begin, end;
};
template <class T>
__device__ Tokens tokens_of(const Sweep<T>& args, std::int64_t segment) {
  const Tokens tokens{args.starts[segment], args.starts[segment + 1]};
  require(tokens.begin >= 0 && tokens.begin <= tokens.end && tokens.end <= args.num_tokens);
  return tokens;
}

inline constexpr std::int64_t kMostSegments = 65535;  // at a time

// Queue a sweep: in plain float32 for any d that shared memory can hold, and on tensor cores for d
// up to kMostBFloat16Dims (lightning_attention.cpp refuses more).
void launch(const Sweep<float>& args, Stream& stream, const char* operation);
void launch(const Sweep<__nv_bfloat16>& args, Stream& stream, const char* operation);

}  // namespace fulgur::cuda::lightning
