#include <cmath>

#include "kernels/adamw_impl.hpp"
#include "kernels/convert.hpp"

namespace fulgur::cpu {

void adamw(const AdamW& args, Stream& stream) {
  const auto correction = [&](double beta) {
    return 1.0 - std::pow(beta, static_cast<double>(args.step));
  };
  const auto keep = static_cast<float>(1.0 - args.learning_rate * args.weight_decay);
  const auto rate = static_cast<float>(args.learning_rate / correction(args.beta1));
  const auto root = static_cast<float>(1.0 / std::sqrt(correction(args.beta2)));

  stream.run([args, keep, rate, root] {
    const auto b1 = static_cast<float>(args.beta1), b2 = static_cast<float>(args.beta2);
    const auto new1 = static_cast<float>(1.0 - args.beta1);
    const auto new2 = static_cast<float>(1.0 - args.beta2);
    const auto eps = static_cast<float>(args.eps);
    const float factor =
        args.gradient_scale.data == nullptr ? 1.0f : *args.gradient_scale.as<float>();
    const auto* gradient = args.gradient.as<float>();
    auto *w = args.weight.as<float>(), *m = args.exp_avg.as<float>(),
         *v = args.exp_avg_sq.as<float>();
    const auto n = args.weight.count();
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float g = factor * gradient[i];
      m[i] = b1 * m[i] + new1 * g;
      v[i] = b2 * v[i] + new2 * g * g;
      w[i] = keep * w[i] - rate * m[i] / (std::sqrt(v[i]) * root + eps);
    }
  });
  if (args.copy.data != nullptr) convert({.x = args.weight, .y = args.copy}, stream);
}

}  // namespace fulgur::cpu
