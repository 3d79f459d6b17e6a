#pragma once

#include <cmath>
#include <cstdint>

#include "recipes/job.hpp"

namespace fulgur {

// The decay rate s of a lightning head, per token: its state is multiplied by exp(-s) at every token
// (docs/math.md 1.1). `layer` counts all layers, softmax ones too; head counts that are not powers of
// two follow the same formula:
//
//   s = 2^(-8 (h + 1) / H) (1 - l / (L - 1 + 1e-5) + 1e-5)
inline double lightning_decay_rate(const ModelSpec& model, std::int64_t layer, std::int64_t head) {
  const auto H = static_cast<double>(model.heads), L = static_cast<double>(model.layers);
  const auto h = static_cast<double>(head), l = static_cast<double>(layer);
  return std::exp2(-8.0 * (h + 1.0) / H) * (1.0 - l / (L - 1.0 + 1e-5) + 1e-5);
}

}  // namespace fulgur
