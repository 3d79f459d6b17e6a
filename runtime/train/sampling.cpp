#include "runtime/train/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace fulgur {

std::int32_t sample_token(std::span<const float> logits, double temperature, double top_p,
                          double draw) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (temperature == 0) return static_cast<std::int32_t>(largest - logits.begin());

  std::vector<double> weights(logits.size());
  std::transform(logits.begin(), logits.end(), weights.begin(), [&](float logit) {
    return std::exp((static_cast<double>(logit) - static_cast<double>(*largest)) / temperature);
  });
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto weight = [&](std::int32_t id) { return weights[static_cast<std::size_t>(id)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return weight(a) > weight(b); });

  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  double kept = 0;
  std::size_t num_kept = 0;
  while (num_kept < order.size() && (num_kept == 0 || kept < top_p * all))
    kept += weight(order[num_kept++]);

  double rest = draw * kept;
  for (std::size_t i = 0; i < num_kept; ++i) {
    rest -= weight(order[i]);
    if (rest < 0) return order[i];
  }
  return order[num_kept - 1];  // draw so close to 1 that rounding used it up
}

}  // namespace fulgur
