#pragma once

#include "kernels/adamw.hpp"

namespace fulgur::cpu {
void adamw(const AdamW& args, Stream& stream);
}
namespace fulgur::cuda {
void adamw(const AdamW& args, Stream& stream);
}
