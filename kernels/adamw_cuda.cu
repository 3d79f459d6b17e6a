#include <cuda_runtime.h>

#include <cmath>

#include "kernels/adamw_impl.hpp"
#include "kernels/cuda_floats.cuh"
#include "kernels/cuda_launch.cuh"

namespace fulgur::cuda {

void adamw(const AdamW& args, Stream& stream) {
  const auto correction = [&](double beta) {
    return 1.0 - std::pow(beta, static_cast<double>(args.step));
  };
  const auto keep = static_cast<float>(1.0 - args.learning_rate * args.weight_decay);
  const auto rate = static_cast<float>(args.learning_rate / correction(args.beta1));
  const auto root = static_cast<float>(1.0 / std::sqrt(correction(args.beta2)));
  const auto b1 = static_cast<float>(args.beta1), b2 = static_cast<float>(args.beta2);
  const auto new1 = static_cast<float>(1.0 - args.beta1);
  const auto new2 = static_cast<float>(1.0 - args.beta2);
  const auto eps = static_cast<float>(args.eps);
  const auto factor = static_cast<float>(args.gradient_scale);
  const auto* gradient = args.gradient.as<float>();
  auto *w = args.weight.as<float>(), *m = args.exp_avg.as<float>(),
       *v = args.exp_avg_sq.as<float>();
  auto* copy = args.copy.data == nullptr ? nullptr : args.copy.as<__nv_bfloat16>();
  for_each_element(args.weight.count(), stream, "adamw", [=] __device__(std::int64_t i) {
    const float g = factor * gradient[i];
    const float mean = b1 * m[i] + new1 * g;
    const float square = b2 * v[i] + new2 * g * g;
    m[i] = mean;
    v[i] = square;
    w[i] = keep * w[i] - rate * mean / (sqrtf(square) * root + eps);
    if (copy != nullptr) store(w[i], &copy[i]);
  });
}

}  // namespace fulgur::cuda
