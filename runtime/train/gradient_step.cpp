#include "runtime/train/gradient_step.hpp"

#include "kernels/auxiliary_loss.hpp"

namespace fulgur {
namespace {

// The gradient of the auxiliary loss, [L, E]. Counts are summed over all ranks first, so that the loss
// does not depend on how many ranks share the micro-batch.
Tensor auxiliary_gradient(const Context& ctx, const GradientStep& step,
                          const RoutingStatistics& routing, std::int64_t local_tokens,
                          Communicator& ranks, const Tensor& loss) {
  const auto& model = step.model;
  ranks.all_reduce(routing.counts, routing.counts, ReduceOp::kSum, ctx.stream, "expert counts");
  ranks.all_reduce(routing.probability_sums, routing.probability_sums, ReduceOp::kSum, ctx.stream,
                   "router probabilities");
  const auto dprobability = ctx.arena.allocate({model.layers, model.experts});
  auxiliary_loss({.counts = routing.counts,
                  .probability_sums = routing.probability_sums,
                  .loss = loss,
                  .dprobability = dprobability,
                  .form = model.aux_loss == AuxLoss::kMixtral ? AuxiliaryLossForm::kMixtral
                                                              : AuxiliaryLossForm::kGshard,
                  .coef = model.aux_loss_coef / static_cast<double>(step.micro_batches),
                  .tokens = local_tokens * ranks.size(),
                  .experts_per_token = model.experts_per_token},
                 ctx.stream);
  return dprobability;
}

}  // namespace

void add_gradients(const Context& ctx, const Model& model, const GradientStep& step,
                   std::span<const Sample> samples, Communicator& ranks, const StepSums& sums) {
  const Arena::Scope scope(ctx.arena);
  const auto batch = make_batch(ctx, samples);
  Model::Saved saved;
  model.forward(ctx, batch, saved);
  const auto dprobability =
      auxiliary_gradient(ctx, step, saved.routing, batch.tokens, ranks, sums.aux_loss);
  const auto dhidden = ctx.arena.allocate(saved.hidden.dims);
  model.loss(ctx, batch, saved.hidden, 1.0f / static_cast<float>(step.labelled_tokens), sums.loss,
             dhidden);
  model.backward(ctx, batch, dhidden, dprobability, saved);
}

}  // namespace fulgur
