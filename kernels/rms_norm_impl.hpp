#pragma once

#include "kernels/rms_norm.hpp"

namespace fulgur::cpu {
void rms_norm_forward(const RmsNormForward& args, Stream& stream);
void rms_norm_backward(const RmsNormBackward& args, Stream& stream);
void rms_norm_squares(const RmsNormSquares& args, Stream& stream);
void rms_norm_dots(const RmsNormDots& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void rms_norm_forward(const RmsNormForward& args, Stream& stream);
void rms_norm_backward(const RmsNormBackward& args, Stream& stream);
void rms_norm_squares(const RmsNormSquares& args, Stream& stream);
void rms_norm_dots(const RmsNormDots& args, Stream& stream);
}  // namespace fulgur::cuda
