#pragma once

#include <optional>

#include "recipes/job.hpp"
#include "recipes/token_runs.hpp"
#include "runtime/model/layer_options.hpp"
#include "runtime/model/parameter_set.hpp"
#include "runtime/model/routing_statistics.hpp"
#include "runtime/model/weight_gradients.hpp"
#include "runtime/parallel/experts/expert_exchange.hpp"

namespace fulgur {

// Mixture of experts (docs/math.md 1.3), which lie over the ranks of the stage (2.4):
//
//   p = softmax(g W_r^T);  (w, e) = the k largest of p, w renormalised
//   out_t = sum over j of w_tj W2_e(silu(g W1_e) * (g W3_e))
//
//   g, out [T, C]: the rows of this rank, each of which lies on no other
//
// With a capacity (ModelSpec::capacity_factor > 0), the assignments that their expert cannot take
// add nothing (runtime/parallel/experts/global_router.hpp).
class MoeLayer {
 public:
  MoeLayer(const ModelSpec& model, std::int64_t layer, const ParameterSet& parameters,
           const LayerOptions& options);

  struct Saved {
    Tensor probabilities;     // [T, E]
    Tensor weights, experts;  // [T, k] as the router chose
    ExpertExchange::Saved exchange;
  };
  struct Forward {
    const TokenGrid& grid;  // of the global micro-batch
    Tensor g, out;
    RoutingStatistics statistics;  // of this layer
    // [T, E]: the probabilities of a run whose choices are taken at near ties (RouterReplay).
    std::optional<Tensor> reference = {};
  };
  // Waits on the host when the experts lie on several ranks: see ExpertExchange.
  void forward(const Context& ctx, const Forward& args, Saved& saved) const;

  struct Backward {
    Tensor dout, g;       // both live as long as the weight gradients need them
    Tensor dprobability;  // [E]: of the auxiliary loss, for any token's probability of an expert
    Tensor dg;            // overwritten
  };
  void backward(const Context& ctx, const Backward& args, const Saved& saved,
                WeightGradients& weights) const;

 private:
  void route(const Context& ctx, const Forward& args, Saved& saved) const;
  Tensor dropped(const Context& ctx, const TokenGrid& grid, const Tensor& experts,
                 const RoutingStatistics& statistics) const;

  LayerOptions options_;
  std::int64_t k_;
  double capacity_factor_;
  Tensor router_, drouter_;  // [E, C]
  ExpertExchange exchange_;
};

}  // namespace fulgur
