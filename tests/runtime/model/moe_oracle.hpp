#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "runtime/parallel/experts/global_router.hpp"
#include "tests/runtime/parallel/experts/expert_oracle.hpp"

namespace fulgur::test {

// A layer on all tokens of a micro-batch, in the order of their sequences and positions.
struct MoeInputs {
  ExpertInputs experts;         // without weights and experts, which the router makes
  Floats router, dprobability;  // [E, C], [E]
  double capacity_factor = 0;   // 0: dropless
};
struct MoeResults {
  ExpertResults<double> experts;  // dx is that of the whole layer
  std::vector<double> drouter;
  std::vector<std::int32_t> counts;  // [E]
  std::int64_t dropped = 0;
};

inline MoeInputs random_moe_inputs(std::int64_t T, double capacity_factor) {
  constexpr std::int64_t kWidth = 8, kChoices = 3, kExperts = 12, kInner = 8;
  return {.experts = random_expert_inputs(T, kWidth, kChoices, kExperts, kInner),
          .router = random_floats({kExperts, kWidth}, 7),
          .dprobability = random_floats({kExperts}, 8),
          .capacity_factor = capacity_factor};
}

// In float64, token by token.
class MoeOracle {
 public:
  explicit MoeOracle(const MoeInputs& in)
      : in_(in), E_(size(in.experts.num_experts())), C_(size(in.experts.width())) {
    results_.counts.resize(E_);
    results_.drouter.resize(E_ * C_);
    auto chosen = in.experts;
    const auto T = size(chosen.num_tokens()), k = size(chosen.k());
    for (std::size_t t = 0; t < T; ++t)
      route(t, chosen);
    const auto routed = chosen;
    if (in.capacity_factor > 0) drop(chosen);
    results_.experts = ExpertOracle(chosen).results();
    for (std::size_t t = 0; t < T; ++t)
      unroute(t, routed.experts.values.data() + t * k);
  }
  const MoeResults& results() const { return results_; }

 private:
  static std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

  std::vector<double> probabilities(std::size_t t) const {
    std::vector<double> p(E_);
    double sum = 0;
    for (std::size_t e = 0; e < E_; ++e) {
      double logit = 0;
      for (std::size_t c = 0; c < C_; ++c)
        logit += double{in_.experts.x.values[t * C_ + c]} * in_.router.values[e * C_ + c];
      sum += p[e] = std::exp(logit);
    }
    for (auto& x : p)
      x /= sum;
    return p;
  }

  void route(std::size_t t, ExpertInputs& chosen) {
    const auto p = probabilities(t);
    std::vector<std::int32_t> order(E_);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int32_t a, std::int32_t b) { return p[size(a)] > p[size(b)]; });
    const auto k = size(chosen.k());
    double sum = 0;
    for (std::size_t j = 0; j < k; ++j)
      sum += p[size(order[j])];
    for (std::size_t j = 0; j < k; ++j) {
      chosen.experts.values[t * k + j] = order[j];
      chosen.weights.values[t * k + j] = static_cast<float>(p[size(order[j])] / sum);
      ++results_.counts[size(order[j])];
    }
  }

  void drop(ExpertInputs& chosen) {
    const auto capacity =
        expert_capacity(in_.capacity_factor, chosen.k(), chosen.num_tokens(), chosen.num_experts());
    std::vector<std::int64_t> taken(E_);
    for (auto& expert : chosen.experts.values) {
      if (taken[size(expert)]++ < capacity) continue;
      expert = -1;
      ++results_.dropped;
    }
  }

  // w_j = p_j / s, s = sum of the chosen p; loss = sum_j dweights_j w_j + sum_e dprobability_e p_e.
  void unroute(std::size_t t, const std::int32_t* experts) {
    const auto p = probabilities(t);
    const auto k = size(in_.experts.k());
    const auto* dweights = results_.experts.dweights.data() + t * k;
    double sum = 0, weighted = 0, mean = 0;
    for (std::size_t j = 0; j < k; ++j)
      sum += p[size(experts[j])];
    for (std::size_t j = 0; j < k; ++j)
      weighted += dweights[j] * p[size(experts[j])] / sum;
    std::vector<double> dp(in_.dprobability.values.begin(), in_.dprobability.values.end());
    for (std::size_t j = 0; j < k; ++j)
      dp[size(experts[j])] += (dweights[j] - weighted) / sum;
    for (std::size_t e = 0; e < E_; ++e)
      mean += p[e] * dp[e];
    for (std::size_t e = 0; e < E_; ++e) {
      const auto dlogit = p[e] * (dp[e] - mean);
      for (std::size_t c = 0; c < C_; ++c) {
        results_.drouter[e * C_ + c] += dlogit * in_.experts.x.values[t * C_ + c];
        results_.experts.dx[t * C_ + c] += dlogit * in_.router.values[e * C_ + c];
      }
    }
  }

  const MoeInputs& in_;
  std::size_t E_, C_;
  MoeResults results_;
};

}  // namespace fulgur::test
