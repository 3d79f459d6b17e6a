#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// Functions applied element by element. All tensors are dense, and float32, or all bfloat16 on a GPU.
// "May be" says that two tensors may be the same memory; otherwise what is written overlaps nothing.
//
// Throw std::invalid_argument, naming the tensor, when dims or dtypes do not fit together.
// Cost: O(elements), one pass over the memory.

// y = silu(x) = x sigmoid(x). Equal dims. y may be x, if x is not needed again.
struct SiluForward {
  Tensor x, y;
};
// dx = dy sigmoid(x) (1 + x (1 - sigmoid(x))). dx may be dy or x.
struct SiluBackward {
  Tensor dy, x, dx;
};
void silu_forward(const SiluForward& args, Stream& stream);
void silu_backward(const SiluBackward& args, Stream& stream);

// y = silu(x[:, 0]) x[:, 1]            x [M, 2, F]   y [M, F]
struct SwigluForward {
  Tensor x, y;
};
// dx[:, 0] = dy x[:, 1] silu'(x[:, 0])   dx[:, 1] = dy silu(x[:, 0])      dx [M, 2, F] may be x
struct SwigluBackward {
  Tensor dy, x, dx;
};
void swiglu_forward(const SwigluForward& args, Stream& stream);
void swiglu_backward(const SwigluBackward& args, Stream& stream);

// y = sigmoid(gate) x                  equal dims; y may be gate or x
struct SigmoidGateForward {
  Tensor gate, x, y;
};
// dx = dy sigmoid(gate)   dgate = dy x sigmoid(gate) (1 - sigmoid(gate))
// dx or dgate may be any of the three inputs, but not both the same one.
struct SigmoidGateBackward {
  Tensor dy, gate, x, dgate, dx;
};
void sigmoid_gate_forward(const SigmoidGateForward& args, Stream& stream);
void sigmoid_gate_backward(const SigmoidGateBackward& args, Stream& stream);

// y = alpha a + beta b                 equal dims; y may be a or b. With beta = 0, b is not read.
struct ScaledAdd {
  Tensor a, b, y;
  float alpha = 1.0f;
  float beta = 1.0f;
};
void scaled_add(const ScaledAdd& args, Stream& stream);

// x = factor x
void scale(const Tensor& x, float factor, Stream& stream);

}  // namespace fulgur
