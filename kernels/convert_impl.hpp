#pragma once

#include "kernels/convert.hpp"

namespace fulgur::cpu {
void convert(const Convert& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void convert(const Convert& args, Stream& stream);
}  // namespace fulgur::cuda
