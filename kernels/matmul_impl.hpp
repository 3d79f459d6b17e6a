#pragma once

#include "kernels/matmul.hpp"

namespace fulgur::cpu {
void matmul(const MatMul& args, Stream& stream);
}
namespace fulgur::cuda {
void matmul(const MatMul& args, Stream& stream);
}
