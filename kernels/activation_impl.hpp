#pragma once

#include "kernels/activation.hpp"

namespace fulgur::cpu {
void silu_forward(const SiluForward& args, Stream& stream);
void silu_backward(const SiluBackward& args, Stream& stream);
void swiglu_forward(const SwigluForward& args, Stream& stream);
void swiglu_backward(const SwigluBackward& args, Stream& stream);
void sigmoid_gate_forward(const SigmoidGateForward& args, Stream& stream);
void sigmoid_gate_backward(const SigmoidGateBackward& args, Stream& stream);
void scaled_add(const ScaledAdd& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void silu_forward(const SiluForward& args, Stream& stream);
void silu_backward(const SiluBackward& args, Stream& stream);
void swiglu_forward(const SwigluForward& args, Stream& stream);
void swiglu_backward(const SwigluBackward& args, Stream& stream);
void sigmoid_gate_forward(const SigmoidGateForward& args, Stream& stream);
void sigmoid_gate_backward(const SigmoidGateBackward& args, Stream& stream);
void scaled_add(const ScaledAdd& args, Stream& stream);
}  // namespace fulgur::cuda
