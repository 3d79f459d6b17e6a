#include "runtime/model/moe_layer.hpp"

#include "kernels/activation.hpp"
#include "kernels/grouped_matmul.hpp"
#include "kernels/router.hpp"
#include "kernels/token_permutation.hpp"
#include "runtime/model/linear.hpp"

namespace fulgur {

MoeLayer::MoeLayer(const ModelSpec& model, std::int64_t layer, const ParameterSet& parameters)
    : layer_(layer),
      experts_(model.experts),
      k_(model.experts_per_token),
      hidden_(model.hidden),
      inner_(model.expert_hidden) {
  const auto prefix = "layers." + std::to_string(layer) + ".";
  const Shape w13_dims{experts_, 2 * inner_, hidden_};
  router_ = parameters.weight(prefix + "router");
  drouter_ = parameters.gradient(prefix + "router");
  w13_ = parameters.weight(prefix + "experts.w13").view(w13_dims);
  dw13_ = parameters.gradient(prefix + "experts.w13").view(w13_dims);
  w2_ = parameters.weight(prefix + "experts.w2");
  dw2_ = parameters.gradient(prefix + "experts.w2");
}

void MoeLayer::forward(const Context& ctx, const Tensor& g, const Tensor& out,
                       const RoutingStatistics& statistics, Saved& saved) const {
  const auto T = g.dims[0], M = T * k_;
  saved.probabilities = ctx.arena.allocate({T, experts_});
  saved.weights = ctx.arena.allocate({T, k_});
  saved.experts = ctx.arena.allocate({T, k_}, DType::kInt32);
  saved.rows = ctx.arena.allocate({T, k_}, DType::kInt32);
  saved.slots = ctx.arena.allocate({M}, DType::kInt32);
  saved.offsets = ctx.arena.allocate({experts_ + 1}, DType::kInt32);
  saved.permuted = ctx.arena.allocate({M, hidden_});
  saved.inner = ctx.arena.allocate({M, 2, inner_});
  saved.activated = ctx.arena.allocate({M, inner_});
  saved.expert_out = ctx.arena.allocate({M, hidden_});

  const Arena::Scope scope(ctx.arena);
  const auto logits = ctx.arena.allocate({T, experts_});
  linear_forward(ctx, g, router_, logits);
  router_forward({.logits = logits,
                  .probabilities = saved.probabilities,
                  .weights = saved.weights,
                  .experts = saved.experts,
                  .counts = statistics.counts.select(0, layer_),
                  .probability_sums = statistics.probability_sums.select(0, layer_)},
                 ctx.stream);
  sort_by_expert({.experts = saved.experts,
                  .rows = saved.rows,
                  .slots = saved.slots,
                  .offsets = saved.offsets},
                 ctx.stream);
  permute_forward({.x = g, .slots = saved.slots, .y = saved.permuted, .k = k_}, ctx.stream);
  grouped_matmul({.x = saved.permuted,
                  .w = w13_,
                  .offsets = saved.offsets,
                  .y = saved.inner.view({M, 2 * inner_})},
                 ctx.stream);
  swiglu_forward({.x = saved.inner, .y = saved.activated}, ctx.stream);
  grouped_matmul({.x = saved.activated, .w = w2_, .offsets = saved.offsets, .y = saved.expert_out},
                 ctx.stream);
  combine_forward({.y = saved.expert_out, .rows = saved.rows, .weights = saved.weights, .out = out},
                  ctx.stream);
}

void MoeLayer::backward(const Context& ctx, const Tensor& dout, const Tensor& g,
                        const Tensor& dprobability, const Saved& saved, const Tensor& dg) const {
  const Arena::Scope scope(ctx.arena);
  const auto T = g.dims[0], M = T * k_;
  const auto dexpert_out = ctx.arena.allocate({M, hidden_});
  const auto dweights = ctx.arena.allocate({T, k_});
  combine_backward({.dout = dout,
                    .y = saved.expert_out,
                    .rows = saved.rows,
                    .slots = saved.slots,
                    .weights = saved.weights,
                    .dy = dexpert_out,
                    .dweights = dweights},
                   ctx.stream);

  const auto dactivated = ctx.arena.allocate({M, inner_});
  grouped_matmul_weight_gradient(
      {.dy = dexpert_out, .x = saved.activated, .offsets = saved.offsets, .dw = dw2_}, ctx.stream);
  grouped_matmul_input_gradient(
      {.dy = dexpert_out, .w = w2_, .offsets = saved.offsets, .dx = dactivated}, ctx.stream);

  const auto dinner = ctx.arena.allocate({M, 2, inner_});
  swiglu_backward({.dy = dactivated, .x = saved.inner, .dx = dinner}, ctx.stream);
  const auto dinner_rows = dinner.view({M, 2 * inner_});
  grouped_matmul_weight_gradient(
      {.dy = dinner_rows, .x = saved.permuted, .offsets = saved.offsets, .dw = dw13_}, ctx.stream);
  const auto dpermuted = ctx.arena.allocate({M, hidden_});
  grouped_matmul_input_gradient(
      {.dy = dinner_rows, .w = w13_, .offsets = saved.offsets, .dx = dpermuted}, ctx.stream);
  permute_backward({.dy = dpermuted, .rows = saved.rows, .dx = dg}, ctx.stream);

  const auto dlogits = ctx.arena.allocate({T, experts_});
  router_backward({.dweights = dweights,
                   .dprobability = dprobability,
                   .probabilities = saved.probabilities,
                   .weights = saved.weights,
                   .experts = saved.experts,
                   .dlogits = dlogits},
                  ctx.stream);
  linear_weight_gradient(ctx, dlogits, g, drouter_);
  linear_input_gradient(ctx, dlogits, router_, dg, Accumulate::kYes);
}

}  // namespace fulgur
