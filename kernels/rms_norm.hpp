#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// y = x rstd w,  rstd = 1 / sqrt(mean(x^2) + eps), the mean over the last dim.
//   x, y [T, C]   weight [C]   rstd [T] float32
struct RmsNormForward {
  Tensor x, weight, y, rstd;
  float eps = 1e-5f;
};
// dx = gradient with respect to x (overwritten); dweight [C] float32 is added to.
struct RmsNormBackward {
  Tensor dy, x, weight, rstd, dx, dweight;
};
void rms_norm_forward(const RmsNormForward& args, Stream& stream);
void rms_norm_backward(const RmsNormBackward& args, Stream& stream);

}  // namespace fulgur
