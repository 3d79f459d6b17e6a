#pragma once

#include "kernels/rotary.hpp"

namespace fulgur::cpu {
void rotary(const Rotary& args, Stream& stream);
}
namespace fulgur::cuda {
void rotary(const Rotary& args, Stream& stream);
}
