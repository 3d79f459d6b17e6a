#pragma once

#include "kernels/lightning_attention.hpp"

namespace fulgur::cpu {
void lightning_state_forward(const LightningStateForward& args, Stream& stream);
void lightning_output_forward(const LightningOutputForward& args, Stream& stream);
void lightning_state_backward(const LightningStateBackward& args, Stream& stream);
void lightning_output_backward(const LightningOutputBackward& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void lightning_state_forward(const LightningStateForward& args, Stream& stream);
void lightning_output_forward(const LightningOutputForward& args, Stream& stream);
void lightning_state_backward(const LightningStateBackward& args, Stream& stream);
void lightning_output_backward(const LightningOutputBackward& args, Stream& stream);
}  // namespace fulgur::cuda
