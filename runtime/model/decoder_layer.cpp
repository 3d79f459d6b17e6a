#include "runtime/model/decoder_layer.hpp"

#include "kernels/activation.hpp"
#include "kernels/rms_norm.hpp"

namespace fulgur {
namespace {

std::variant<LightningLayer, SoftmaxLayer> make_attention(const ModelSpec& model,
                                                          std::int64_t layer,
                                                          const ParameterSet& parameters,
                                                          const LayerOptions& options) {
  if (attention_kind(model, layer) == AttentionKind::kSoftmax)
    return SoftmaxLayer(model, layer, parameters, options);
  return LightningLayer(model, layer, parameters, options);
}

}  // namespace

DecoderLayer::DecoderLayer(const ModelSpec& model, std::int64_t layer,
                           const ParameterSet& parameters, const LayerOptions& options)
    : layer_(layer),
      attention_(make_attention(model, layer, parameters, options)),
      moe_(model, layer, parameters, options),
      norm_eps_(static_cast<float>(model.norm_eps)),
      moe_alpha_(static_cast<float>(model.moe_alpha)),
      moe_beta_(static_cast<float>(model.moe_beta)) {
  const bool softmax = std::holds_alternative<SoftmaxLayer>(attention_);
  attention_alpha_ = static_cast<float>(softmax ? model.softmax_alpha : model.lightning_alpha);
  attention_beta_ = static_cast<float>(softmax ? model.softmax_beta : model.lightning_beta);
  const auto prefix = "layers." + std::to_string(layer) + ".";
  norm1_ = parameters.weight(prefix + "norm1");
  dnorm1_ = parameters.gradient(prefix + "norm1");
  norm2_ = parameters.weight(prefix + "norm2");
  dnorm2_ = parameters.gradient(prefix + "norm2");
}

void DecoderLayer::forward(const Context& ctx, const Batch& batch, const Tensor& x,
                           const Tensor& out, const RoutingStatistics& statistics,
                           Saved& saved) const {
  const auto rows = x.dims[0];
  saved.x = x;
  saved.rstd1 = ctx.arena.allocate({rows});
  saved.y = ctx.arena.like(x);
  saved.g = ctx.arena.like(x);
  saved.rstd2 = ctx.arena.allocate({rows});

  const auto h = ctx.arena.like(x);
  rms_norm_forward({.x = x, .weight = norm1_, .y = h, .rstd = saved.rstd1, .eps = norm_eps_},
                   ctx.stream);
  std::visit(
      [&](const auto& attention) {
        using Kept = typename std::remove_cvref_t<decltype(attention)>::Saved;
        attention.forward(ctx, batch, h, saved.y, saved.attention.template emplace<Kept>());
      },
      attention_);
  scaled_add(
      {.a = h, .b = saved.y, .y = saved.y, .alpha = attention_alpha_, .beta = attention_beta_},
      ctx.stream);
  rms_norm_forward(
      {.x = saved.y, .weight = norm2_, .y = saved.g, .rstd = saved.rstd2, .eps = norm_eps_},
      ctx.stream);
  MoeLayer::Forward moe{.grid = batch.grid, .g = saved.g, .out = out, .statistics = statistics};
  if (const auto found = batch.reference.find(layer_); found != batch.reference.end())
    moe.reference = found->second;
  moe_.forward(ctx, moe, saved.moe);
  scaled_add({.a = saved.g, .b = out, .y = out, .alpha = moe_alpha_, .beta = moe_beta_},
             ctx.stream);
}

void DecoderLayer::backward(const Context& ctx, const Batch& batch, const Backward& args,
                            const Saved& saved, WeightGradients& weights) const {
  const Arena::Scope scope(ctx.arena);
  const auto& dout = args.dout;
  const auto dnormed = ctx.arena.like(dout);  // of g, then of h
  const auto dy = ctx.arena.like(dout);
  const auto scaled = [&](const Tensor& gradient, float beta) {
    const auto result = weights.operands(ctx).arena.like(gradient);
    scaled_add({.a = gradient, .b = gradient, .y = result, .alpha = beta, .beta = 0.0f},
               ctx.stream);
    return result;
  };

  moe_.backward(ctx,
                {.dout = scaled(dout, moe_beta_),
                 .g = saved.g,
                 .dprobability = args.dprobability,
                 .dg = dnormed},
                saved.moe, weights);
  scaled_add({.a = dout, .b = dnormed, .y = dnormed, .alpha = moe_alpha_}, ctx.stream);
  rms_norm_backward({.dy = dnormed,
                     .x = saved.y,
                     .weight = norm2_,
                     .rstd = saved.rstd2,
                     .dx = dy,
                     .dweight = dnorm2_},
                    ctx.stream);

  const auto dblock = scaled(dy, attention_beta_);
  std::visit(
      [&](const auto& attention) {
        using Kept = typename std::remove_cvref_t<decltype(attention)>::Saved;
        attention.backward(ctx, batch, dblock, std::get<Kept>(saved.attention), dnormed, weights);
      },
      attention_);
  scaled_add({.a = dy, .b = dnormed, .y = dnormed, .alpha = attention_alpha_}, ctx.stream);
  rms_norm_backward({.dy = dnormed,
                     .x = saved.x,
                     .weight = norm1_,
                     .rstd = saved.rstd1,
                     .dx = args.dx,
                     .dweight = dnorm1_},
                    ctx.stream);
}

}  // namespace fulgur
