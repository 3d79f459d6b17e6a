#include "runtime/model/linear.hpp"

#include "kernels/matmul.hpp"

namespace fulgur {

void linear_forward(const Context& ctx, const Tensor& x, const Tensor& weight, const Tensor& y) {
  matmul({.a = x, .b = weight, .c = y, .transpose_b = Transpose::kYes}, ctx.stream);
}

void linear_input_gradient(const Context& ctx, const Tensor& dy, const Tensor& weight,
                           const Tensor& dx, Accumulate accumulate) {
  matmul({.a = dy, .b = weight, .c = dx, .beta = accumulate == Accumulate::kYes ? 1.0f : 0.0f},
         ctx.stream);
}

void linear_weight_gradient(const Context& ctx, const Tensor& dy, const Tensor& x,
                            const Tensor& dweight, WeightGradients& weights) {
  weights.add(ctx, [dy, x, dweight](Stream& stream) {
    matmul({.a = dy, .b = x, .c = dweight, .transpose_a = Transpose::kYes, .beta = 1.0f}, stream);
  });
}

}  // namespace fulgur
