#pragma once

#include "kernels/auxiliary_loss.hpp"

namespace fulgur::cpu {
void auxiliary_loss(const AuxiliaryLoss& args, Stream& stream);
}
namespace fulgur::cuda {
void auxiliary_loss(const AuxiliaryLoss& args, Stream& stream);
}
