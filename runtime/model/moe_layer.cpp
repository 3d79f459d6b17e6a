#include "runtime/model/moe_layer.hpp"

#include <string>
#include <utility>

#include "kernels/convert.hpp"
#include "kernels/router.hpp"
#include "recipes/near_tie.hpp"
#include "runtime/model/linear.hpp"
#include "runtime/parallel/experts/global_router.hpp"

namespace fulgur {
namespace {

std::string prefix(std::int64_t layer) {
  return "layers." + std::to_string(layer) + ".";
}

ExpertGroups expert_groups(const LayerOptions& options) {
  auto& mesh = options.mesh;
  return {.stage = mesh.stage(),
          .ep = mesh.ep(),
          .etp = mesh.etp(),
          .ep_stream = mesh.ep_stream(),
          .etp_stream = mesh.etp_stream(),
          .token_groups = options.token_groups};
}

// The router works in float32 whatever the activations are. Lives in ctx.arena, or is x itself.
Tensor in_float32(const Context& ctx, const Tensor& x) {
  if (x.dtype == DType::kFloat32) return x;
  const auto wide = ctx.arena.allocate(x.dims);
  convert({.x = x, .y = wide}, ctx.stream);
  return wide;
}

}  // namespace

MoeLayer::MoeLayer(const ModelSpec& model, std::int64_t layer, const ParameterSet& parameters,
                   const LayerOptions& options)
    : options_(options),
      k_(model.experts_per_token),
      capacity_factor_(model.capacity_factor),
      router_(parameters.weight(prefix(layer) + "router")),
      drouter_(parameters.gradient(prefix(layer) + "router")),
      exchange_(expert_groups(options),
                {.w13 = parameters.weight(prefix(layer) + "experts.w13"),
                 .w2 = parameters.weight(prefix(layer) + "experts.w2")},
                {.w13 = parameters.gradient(prefix(layer) + "experts.w13"),
                 .w2 = parameters.gradient(prefix(layer) + "experts.w2")},
                options.recompute) {}

void MoeLayer::forward(const Context& ctx, const Forward& args, Saved& saved) const {
  route(ctx, args, saved);
  const auto kept = capacity_factor_ > 0 ? dropped(ctx, args.grid, saved.experts, args.statistics)
                                         : saved.experts;
  exchange_.forward(ctx, {.x = args.g, .weights = saved.weights, .experts = kept, .out = args.out},
                    saved.exchange);
}

void MoeLayer::route(const Context& ctx, const Forward& args, Saved& saved) const {
  const auto T = args.g.dims[0], E = router_.dims[0];
  const auto& statistics = args.statistics;
  saved.probabilities = ctx.arena.allocate({T, E});
  saved.weights = ctx.arena.allocate({T, k_});
  saved.experts = ctx.arena.allocate({T, k_}, DType::kInt32);
  const Arena::Scope scope(ctx.arena);
  const auto logits = ctx.arena.allocate({T, E});
  linear_forward(ctx, in_float32(ctx, args.g), router_, logits);
  router_forward({.logits = logits,
                  .probabilities = saved.probabilities,
                  .weights = saved.weights,
                  .experts = saved.experts,
                  .counts = statistics.counts,
                  .probability_sums = statistics.probability_sums},
                 ctx.stream);
  if (!args.reference) return;
  router_replay({.reference = *args.reference,
                 .probabilities = saved.probabilities,
                 .weights = saved.weights,
                 .experts = saved.experts,
                 .counts = statistics.counts,
                 .replayed = statistics.replayed,
                 .gap = kNearTie},
                ctx.stream);
}

Tensor MoeLayer::dropped(const Context& ctx, const TokenGrid& grid, const Tensor& experts,
                         const RoutingStatistics& statistics) const {
  const auto kept = ctx.arena.allocate(experts.dims, DType::kInt32);
  drop_over_capacity(ctx, options_.mesh.stage(), grid,
                     {.experts = experts,
                      .kept = kept,
                      .dropped = statistics.dropped,
                      .dropped_local = statistics.dropped_local,
                      .num_experts = router_.dims[0],
                      .capacity_factor = capacity_factor_});
  return kept;
}

void MoeLayer::backward(const Context& ctx, const Backward& args, const Saved& saved,
                        WeightGradients& weights) const {
  const Arena::Scope scope(ctx.arena);
  const auto operands = weights.operands(ctx);
  const auto dweights = ctx.arena.allocate(saved.weights.dims);
  const auto dlogits = operands.arena.allocate(saved.probabilities.dims);
  exchange_.backward(
      ctx, operands,
      {.dout = args.dout, .weights = saved.weights, .dx = args.dg, .dweights = dweights},
      saved.exchange, [&](ExpertExchange::WeightWork work) { weights.add(ctx, std::move(work)); });
  router_backward({.dweights = dweights,
                   .dprobability = args.dprobability,
                   .probabilities = saved.probabilities,
                   .weights = saved.weights,
                   .experts = saved.experts,
                   .dlogits = dlogits},
                  ctx.stream);
  linear_weight_gradient(ctx, dlogits, in_float32(operands, args.g), drouter_, weights);
  if (args.dg.dtype == DType::kFloat32)
    return linear_input_gradient(ctx, dlogits, router_, args.dg, Accumulate::kYes);
  const auto through_router = ctx.arena.allocate(args.dg.dims);
  linear_input_gradient(ctx, dlogits, router_, through_router, Accumulate::kNo);
  convert({.x = through_router, .y = args.dg, .add = true}, ctx.stream);
}

}  // namespace fulgur
