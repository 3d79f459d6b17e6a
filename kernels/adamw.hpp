#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// One AdamW update with decoupled weight decay (docs/math.md 2.7), element by element:
//
//   g = gradient_scale gradient
//   m = b1 m + (1 - b1) g            exp_avg
//   v = b2 v + (1 - b2) g^2          exp_avg_sq
//   w = w - lr wd w
//   w = w - lr (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps)
//
//   weight, gradient, exp_avg, exp_avg_sq [n]     float32, dense, none overlapping another
//   gradient_scale [1]                            float32; without memory: 1
//
// The factors that hold for all elements are computed in float64, the update of an element in float32:
// the numbers of torch.optim.AdamW up to rounding. The gradient is left as it is. Its scale is read when the
// update runs, so that nobody waits for the norm that it comes from (kernels/reduce.hpp, clip_scale).
//
// Throws std::invalid_argument, naming the tensor or number, when dims or dtypes do not fit together,
// step < 1, or a beta lies outside [0, 1). Cost: O(n), 28 bytes moved per element.
struct AdamW {
  Tensor weight, gradient, exp_avg, exp_avg_sq;
  Tensor copy = {};  // [n] bfloat16: receives the new weight, rounded; without memory: nothing does
  Tensor gradient_scale = {};
  double learning_rate = 0, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0;
  std::int64_t step = 1;  // counts from 1
};
void adamw(const AdamW& args, Stream& stream);

}  // namespace fulgur
