#include "runtime/optim/learning_rate.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fulgur {

double learning_rate(const LearningRateSpec& spec, std::int64_t tokens) {
  const auto seen = static_cast<double>(tokens);
  if (tokens < spec.warmup_tokens)
    return spec.peak * seen / static_cast<double>(spec.warmup_tokens);
  if (spec.decay_tokens == 0 || tokens <= spec.decay_from) return spec.peak;
  const double into =
      (seen - static_cast<double>(spec.decay_from)) / static_cast<double>(spec.decay_tokens);
  const double cosine = 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(into, 1.0)));
  return spec.final + (spec.peak - spec.final) * cosine;
}

}  // namespace fulgur
