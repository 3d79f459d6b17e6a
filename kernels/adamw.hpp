#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// One AdamW update with decoupled weight decay over flat float32 buffers (MATH.md 2.7):
//   g = gradient_scale gradient;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
//   w -= lr wd w;  w -= lr (m / (1-b1^step)) / (sqrt(v / (1-b2^step)) + eps)
struct AdamW {
  Tensor weight, gradient, exp_avg, exp_avg_sq;  // [n]
  double learning_rate = 0, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0;
  double gradient_scale = 1;
  std::int64_t step = 1;  // counts from 1
};
void adamw(const AdamW& args, Stream& stream);

}  // namespace fulgur
