#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// y = silu(x) = x sigmoid(x). y may be x in the forward only if x is not needed again.
struct SiluForward { Tensor x, y; };
struct SiluBackward { Tensor dy, x, dx; };  // dx may be dy
void silu_forward(const SiluForward& args, Stream& stream);
void silu_backward(const SiluBackward& args, Stream& stream);

// y = silu(x[:, 0]) * x[:, 1]      x [M, 2, F]   y [M, F]
struct SwigluForward { Tensor x, y; };
struct SwigluBackward { Tensor dy, x, dx; };  // dx may be x
void swiglu_forward(const SwigluForward& args, Stream& stream);
void swiglu_backward(const SwigluBackward& args, Stream& stream);

// y = sigmoid(gate) * x            all [T, C]
struct SigmoidGateForward { Tensor gate, x, y; };
struct SigmoidGateBackward { Tensor dy, gate, x, dgate, dx; };
void sigmoid_gate_forward(const SigmoidGateForward& args, Stream& stream);
void sigmoid_gate_backward(const SigmoidGateBackward& args, Stream& stream);

// y = alpha a + beta b. y may be a or b. Contiguous, equal dims.
struct ScaledAdd {
  Tensor a, b, y;
  float alpha = 1.0f;
  float beta = 1.0f;
};
void scaled_add(const ScaledAdd& args, Stream& stream);

// x *= factor, in place.
void scale(const Tensor& x, float factor, Stream& stream);

}  // namespace fulgur
