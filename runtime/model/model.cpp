#include "runtime/model/model.hpp"

#include "kernels/cross_entropy.hpp"
#include "kernels/embedding.hpp"
#include "kernels/rms_norm.hpp"
#include "runtime/model/linear.hpp"

namespace fulgur {

Model::Model(const ModelSpec& model, const ParameterSet& parameters, Device device)
    : model_(model),
      embedding_(parameters.weight("embedding")),
      final_norm_(parameters.weight("final_norm")),
      head_(parameters.weight("head")),
      dembedding_(parameters.gradient("embedding")),
      dfinal_norm_(parameters.gradient("final_norm")),
      dhead_(parameters.gradient("head")) {
  for (std::int64_t layer = 0; layer < model.layers; ++layer)
    layers_.emplace_back(model, layer, parameters, device);
}

void Model::forward(const Context& ctx, const Batch& batch, Saved& saved) const {
  const Shape activation{batch.tokens, model_.hidden}, routing{model_.layers, model_.experts};
  saved.routing = {.counts = ctx.arena.allocate(routing, DType::kInt32),
                   .probability_sums = ctx.arena.allocate(routing, DType::kFloat64)};
  fill_zero(saved.routing.counts, ctx.stream);
  fill_zero(saved.routing.probability_sums, ctx.stream);

  saved.x = ctx.arena.allocate(activation);
  embedding_forward({.ids = batch.ids, .weight = embedding_, .y = saved.x}, ctx.stream);
  saved.layers.resize(layers_.size());
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const auto out = ctx.arena.allocate(activation);
    layers_[l].forward(ctx, batch, saved.x, out, saved.routing, saved.layers[l]);
    saved.x = out;
  }
  saved.rstd = ctx.arena.allocate({batch.tokens});
  saved.hidden = ctx.arena.allocate(activation);
  rms_norm_forward({.x = saved.x,
                    .weight = final_norm_,
                    .y = saved.hidden,
                    .rstd = saved.rstd,
                    .eps = static_cast<float>(model_.norm_eps)},
                   ctx.stream);
}

void Model::logits(const Context& ctx, const Tensor& hidden, const Tensor& logits) const {
  linear_forward(ctx, hidden, head_, logits);
}

void Model::loss(const Context& ctx, const Batch& batch, const Tensor& hidden, float scale,
                 const Tensor& loss, const Tensor& dhidden) const {
  const Arena::Scope scope(ctx.arena);
  const auto logits_ = ctx.arena.allocate({batch.tokens, model_.vocabulary});
  const auto lse = ctx.arena.allocate({batch.tokens}), target = ctx.arena.allocate({batch.tokens});
  logits(ctx, hidden, logits_);
  cross_entropy_forward({.logits = logits_, .labels = batch.labels, .lse = lse, .target = target},
                        ctx.stream);
  cross_entropy_loss({.lse = lse, .target = target, .labels = batch.labels, .loss = loss},
                     ctx.stream);
  // In place: from here on logits_ holds their gradient, so that there is never a second [T, V].
  cross_entropy_backward({.logits = logits_, .labels = batch.labels, .lse = lse, .scale = scale},
                         ctx.stream);
  linear_weight_gradient(ctx, logits_, hidden, dhead_);
  linear_input_gradient(ctx, logits_, head_, dhidden, Accumulate::kNo);
}

void Model::backward(const Context& ctx, const Batch& batch, const Tensor& dhidden,
                     const Tensor& dprobability, const Saved& saved) const {
  rms_norm_backward({.dy = dhidden,
                     .x = saved.x,
                     .weight = final_norm_,
                     .rstd = saved.rstd,
                     .dx = dhidden,
                     .dweight = dfinal_norm_},
                    ctx.stream);
  for (std::size_t l = layers_.size(); l-- > 0;) {
    layers_[l].backward(ctx, batch, dhidden, dprobability.select(0, static_cast<std::int64_t>(l)),
                        saved.layers[l], dhidden);
  }
  embedding_backward({.ids = batch.ids, .dy = dhidden, .dweight = dembedding_}, ctx.stream);
}

}  // namespace fulgur
