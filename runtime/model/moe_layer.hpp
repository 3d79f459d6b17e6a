#pragma once

#include "recipes/job.hpp"
#include "runtime/model/batch.hpp"
#include "runtime/model/parameter_set.hpp"

namespace fulgur {

// How tokens were routed: what the auxiliary loss and the metrics are made of.
struct RoutingStatistics {
  Tensor counts;            // [L, E] int32: tokens routed to an expert
  Tensor probability_sums;  // [L, E] float64: sum of the router's probabilities
};

// Mixture of experts, dropless (docs/math.md 1.3):
//
//   p = softmax(g W_r^T);  (w, e) = the k largest of p, w renormalised
//   out_t = sum over j of w_tj W2_e(silu(g W1_e) * (g W3_e))
//
//   g, out [T, C]     M = T k assignments
class MoeLayer {
 public:
  MoeLayer(const ModelSpec& model, std::int64_t layer, const ParameterSet& parameters);

  struct Saved {
    Tensor probabilities;         // [T, E]
    Tensor weights, experts;      // [T, k]
    Tensor rows, slots, offsets;  // [T, k], [M], [E + 1]
    Tensor permuted;              // [M, C]
    Tensor inner;                 // [M, 2, F]
    Tensor activated;             // [M, F]
    Tensor expert_out;            // [M, C]
  };
  void forward(const Context& ctx, const Tensor& g, const Tensor& out,
               const RoutingStatistics& statistics, Saved& saved) const;

  // dg is overwritten; weight gradients are added to. dprobability [E]: gradient of the auxiliary loss
  // with respect to every token's probability of an expert.
  void backward(const Context& ctx, const Tensor& dout, const Tensor& g, const Tensor& dprobability,
                const Saved& saved, const Tensor& dg) const;

 private:
  std::int64_t layer_, experts_, k_, hidden_, inner_;
  Tensor router_, w13_, w2_;     // weights: [E, C], [E, 2 F, C], [E, C, F]
  Tensor drouter_, dw13_, dw2_;  // their gradients
};

}  // namespace fulgur
