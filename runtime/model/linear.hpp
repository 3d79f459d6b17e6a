#pragma once

#include "runtime/model/weight_gradients.hpp"

namespace fulgur {

// A linear layer without bias: y = x W^T.       x [T, K]   W [N, K]   y [T, N]
void linear_forward(const Context& ctx, const Tensor& x, const Tensor& weight, const Tensor& y);

// dx = dy W, or dx += dy W.
enum class Accumulate : bool { kNo, kYes };
void linear_input_gradient(const Context& ctx, const Tensor& dy, const Tensor& weight,
                           const Tensor& dx, Accumulate accumulate);

// dW += dy^T x, now or later: dy and x lie in weights.operands() or live as long.
void linear_weight_gradient(const Context& ctx, const Tensor& dy, const Tensor& x,
                            const Tensor& dweight, WeightGradients& weights);

}  // namespace fulgur
