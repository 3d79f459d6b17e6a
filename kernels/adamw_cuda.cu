#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>

#include "kernels/adamw_impl.hpp"
#include "kernels/cuda_packs.cuh"

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
  const auto* scale =
      args.gradient_scale.data == nullptr ? nullptr : args.gradient_scale.as<float>();
  const auto* gradient = args.gradient.as<float>();
  auto *w = args.weight.as<float>(), *m = args.exp_avg.as<float>(),
       *v = args.exp_avg_sq.as<float>();
  auto* copy = args.copy.data == nullptr ? nullptr : args.copy.as<__nv_bfloat16>();
  const auto tensors = {args.weight, args.gradient, args.exp_avg, args.exp_avg_sq, args.copy};
  const bool fits = std::all_of(tensors.begin(), tensors.end(), is_aligned);
  for_each_row_pack<float>(1, args.weight.count(), fits, stream, "adamw",
                           [=] __device__(std::int64_t, std::int64_t i, auto size) {
                             constexpr int N = decltype(size)::value;
                             const float factor = scale == nullptr ? 1.0f : __ldg(scale);
                             const auto gradients = load_pack<N>(gradient + i);
                             auto weights = load_pack<N>(w + i), means = load_pack<N>(m + i),
                                  squares = load_pack<N>(v + i);
                             Pack<__nv_bfloat16, N> rounded;
                             for (int j = 0; j < N; ++j) {
                               const float g = factor * gradients.at[j];
                               float &weight = weights.at[j], &mean = means.at[j],
                                     &square = squares.at[j];
                               mean = b1 * mean + new1 * g;
                               square = b2 * square + new2 * g * g;
                               weight = keep * weight - rate * mean / (sqrtf(square) * root + eps);
                               store(weight, &rounded.at[j]);
                             }
                             store_pack(weights, w + i);
                             store_pack(means, m + i);
                             store_pack(squares, v + i);
                             if (copy != nullptr) store_pack(rounded, copy + i);
                           });
}

}  // namespace fulgur::cuda
