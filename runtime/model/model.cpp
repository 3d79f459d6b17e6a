#include "runtime/model/model.hpp"

#include <array>

#include "kernels/cross_entropy.hpp"
#include "kernels/embedding.hpp"
#include "kernels/rms_norm.hpp"
#include "runtime/model/linear.hpp"
#include "runtime/parallel/row_shards.hpp"

namespace fulgur {
namespace {

void call(const PlaceHook& hook, std::int64_t place) {
  if (hook) hook(place);
}

}  // namespace

Model::Model(const ModelSpec& model, const ModelPiece& piece, const ParameterSet& parameters,
             const LayerOptions& options)
    : model_(model), piece_(piece), options_(options), dtype_(parameters.activations()) {
  const int tp = options.mesh.layout().tp;
  first_id_ = static_cast<std::int32_t>(model.vocabulary / tp * options.mesh.dense().tp);
  if (piece.has_embedding) {
    embedding_ = parameters.weight("embedding");
    dembedding_ = parameters.gradient("embedding");
  }
  if (piece.has_head) {
    final_norm_ = parameters.weight("final_norm");
    dfinal_norm_ = parameters.gradient("final_norm");
    head_ = parameters.weight("head");
    dhead_ = parameters.gradient("head");
  }
  for (auto layer = piece.first; layer < piece.last; ++layer)
    layers_.emplace_back(model, layer, parameters, options);
  if (options.graphs) graphs_ = std::make_unique<LayerGraphs>();
}

// The rows of this rank; each tp rank knows the ids of its part of the vocabulary.
void Model::embed(const Context& ctx, const Batch& batch, const Tensor& x) const {
  const Arena::Scope scope(ctx.arena);
  auto& tp = options_.mesh.tp();
  const auto partial = partial_sum(ctx, tp, batch.cuts, x);
  embedding_forward({.ids = batch.ids, .weight = embedding_, .y = partial, .first_id = first_id_},
                    ctx.stream);
  scatter_sum(ctx, tp, batch.cuts, partial, x, "embedding");
}

void Model::forward(const Context& ctx, const Batch& batch, const Tensor& x,
                    const RoutingStatistics& routing, Saved& saved,
                    const ForwardHooks& hooks) const {
  const Shape activation{batch.rows, model_.hidden};
  saved.out = x;
  if (piece_.has_embedding) {
    call(hooks.before, kEmbeddingPlace);
    saved.out = ctx.arena.allocate(activation, dtype_);
    embed(ctx, batch, saved.out);
  }
  saved.layers.resize(layers_.size());
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    call(hooks.before, piece_.first + static_cast<std::int64_t>(l));
    const auto out = ctx.arena.allocate(activation, dtype_);
    saved.layers[l].x = saved.out;
    saved.out = out;
    forward_layer(ctx, batch, l, routing.of_layer(static_cast<std::int64_t>(l)), saved,
                  hooks.after_layer);
  }
  if (!piece_.has_head) return;
  call(hooks.before, kHeadPlace);
  saved.rstd = ctx.arena.allocate({batch.rows});
  saved.hidden = ctx.arena.allocate(activation, dtype_);
  rms_norm_forward({.x = saved.out,
                    .weight = final_norm_,
                    .y = saved.hidden,
                    .rstd = saved.rstd,
                    .eps = static_cast<float>(model_.norm_eps)},
                   ctx.stream);
}

// From saved.layers[layer].x to saved.out.
void Model::forward_layer(const Context& ctx, const Batch& batch, std::size_t layer,
                          const RoutingStatistics& statistics, Saved& saved,
                          const LayerHook& after) const {
  auto& kept = saved.layers[layer];
  const auto run = [&](DecoderLayer::Saved& to) {
    layers_[layer].forward(ctx, batch, kept.x, saved.out, statistics, to);
    if (after) after(piece_.first + static_cast<std::int64_t>(layer), to, saved.out);
  };
  const auto run_whole = [&] {
    if (options_.recompute != Recompute::kFull) return run(kept);
    const Arena::Scope scope(ctx.arena);
    DecoderLayer::Saved not_kept;
    run(not_kept);
  };
  if (!graphs_ || after || !batch.reference.empty()) return run_whole();
  graphs_->run(ctx,
               {LayerGraphs::Pass::kForward, layer, ctx, batch,
                std::array{kept.x, saved.out, statistics.counts}},
               kept, run_whole);
}

void Model::logits(const Context& ctx, const Tensor& hidden, const Tensor& logits) const {
  linear_forward(ctx, hidden, head_, logits);
}

void Model::loss(const Context& ctx, const Batch& batch, const Tensor& hidden, float scale,
                 const Tensor& loss, const Tensor& dhidden) const {
  const Arena::Scope scope(ctx.arena);
  auto& tp = options_.mesh.tp();
  const auto T = batch.tokens;
  const auto all_hidden = gather_rows(ctx, tp, batch.cuts, hidden, "head input");
  const auto logits_ = ctx.arena.allocate({T, head_.dims[0]}, dtype_);
  const auto lse = ctx.arena.allocate({T}), target = ctx.arena.allocate({T});
  logits(ctx, all_hidden, logits_);
  cross_entropy_forward({.logits = logits_,
                         .labels = batch.labels,
                         .lse = lse,
                         .target = target,
                         .first_id = first_id_},
                        ctx.stream);
  if (tp.size() > 1) {
    const auto parts = ctx.arena.allocate({tp.size(), T});
    tp.all_gather(lse, parts, ctx.stream, "log-sum-exp");
    combine_lse({.parts = parts, .lse = lse}, ctx.stream);
    tp.all_reduce(target, target, ReduceOp::kSum, ctx.stream, "target logits");
  }
  const auto own = [&](const Tensor& all) { return all.slice(0, batch.first_row, batch.rows); };
  cross_entropy_loss(
      {.lse = own(lse), .target = own(target), .labels = own(batch.labels), .loss = loss},
      ctx.stream);
  // In place: from here on logits_ holds their gradient, so that there is never a second [T, V].
  cross_entropy_backward({.logits = logits_,
                          .labels = batch.labels,
                          .lse = lse,
                          .scale = scale,
                          .first_id = first_id_},
                         ctx.stream);
  WeightGradients at_once;  // so that the logits need not be kept
  linear_weight_gradient(ctx, logits_, all_hidden, dhead_, at_once);
  const auto partial = partial_sum(ctx, tp, batch.cuts, dhidden);
  linear_input_gradient(ctx, logits_, head_, partial, Accumulate::kNo);
  scatter_sum(ctx, tp, batch.cuts, partial, dhidden, "gradient of head input");
}

void Model::backward(const Context& ctx, const Batch& batch, const Backward& args,
                     const Saved& saved, WeightGradients& weights, const PlaceHook& after) const {
  Tensor dout = args.dout;
  if (piece_.has_head) {
    rms_norm_backward({.dy = dout,
                       .x = saved.out,
                       .weight = final_norm_,
                       .rstd = saved.rstd,
                       .dx = args.dx,
                       .dweight = dfinal_norm_},
                      ctx.stream);
    dout = args.dx;
    call(after, kHeadPlace);
  }
  for (std::size_t l = layers_.size(); l-- > 0;) {
    const DecoderLayer::Backward layer{
        dout, args.dprobability.select(0, static_cast<std::int64_t>(l)), args.dx};
    backward_layer(ctx, batch, l, layer, saved.layers[l], weights);
    dout = args.dx;
    call(after, piece_.first + static_cast<std::int64_t>(l));
  }
  if (!piece_.has_embedding) return;
  const Arena::Scope scope(ctx.arena);
  const auto all = gather_rows(ctx, options_.mesh.tp(), batch.cuts, dout, "gradient of embedding");
  embedding_backward({.ids = batch.ids, .dy = all, .dweight = dembedding_, .first_id = first_id_},
                     ctx.stream);
  call(after, kEmbeddingPlace);
}

void Model::backward_layer(const Context& ctx, const Batch& batch, std::size_t layer,
                           const DecoderLayer::Backward& args, const DecoderLayer::Saved& saved,
                           WeightGradients& weights) const {
  const auto& decoder = layers_[layer];
  const auto run = [&] {
    if (options_.recompute != Recompute::kFull)
      return decoder.backward(ctx, batch, args, saved, weights);
    const Arena::Scope scope(ctx.arena);
    const auto operands = weights.operands(ctx);
    DecoderLayer::Saved again;
    const auto statistics = RoutingStatistics::allocate(ctx, 1, model_.experts).of_layer(0);
    decoder.forward(operands, batch, saved.x, ctx.arena.like(saved.x), statistics, again);
    decoder.backward(ctx, batch, args, again, weights);
  };
  if (!graphs_ || !batch.reference.empty()) return run();
  DecoderLayer::Saved nothing;
  graphs_->run(ctx,
               {LayerGraphs::Pass::kBackward, layer, ctx, batch,
                std::array{args.dout, args.dprobability, args.dx, saved.x, saved.y}},
               nothing, run);
}

}  // namespace fulgur
