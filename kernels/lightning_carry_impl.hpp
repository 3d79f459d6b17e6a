#pragma once

#include "kernels/lightning_carry.hpp"

namespace fulgur::cpu {
void lightning_fold(const LightningFold& args, Stream& stream);
void lightning_carry_forward(const LightningCarryForward& args, Stream& stream);
void lightning_carry_backward(const LightningCarryBackward& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void lightning_fold(const LightningFold& args, Stream& stream);
void lightning_carry_forward(const LightningCarryForward& args, Stream& stream);
void lightning_carry_backward(const LightningCarryBackward& args, Stream& stream);
}  // namespace fulgur::cuda
