#include "runtime/model/lightning_layer.hpp"

#include <optional>
#include <vector>

#include "kernels/activation.hpp"
#include "kernels/transfer.hpp"
#include "recipes/lightning_decay.hpp"
#include "runtime/model/linear.hpp"
#include "runtime/parallel/row_shards.hpp"

namespace fulgur {

LightningLayer::LightningLayer(const ModelSpec& model, std::int64_t layer,
                               const ParameterSet& parameters, const LayerOptions& options)
    : options_(options),
      heads_(model.heads / options.mesh.layout().tp),
      head_dim_(model.head_dim),
      width_(model.heads * model.head_dim),
      norm_eps_(static_cast<float>(model.lightning_norm_eps)),
      decay_buffer_(options.mesh.device(), static_cast<std::size_t>(heads_) * sizeof(float)) {
  const auto prefix = "layers." + std::to_string(layer) + ".attention.";
  const Shape qkv_dims{3 * heads_ * head_dim_, model.hidden};
  qkv_ = parameters.weight(prefix + "qkv").view(qkv_dims);
  dqkv_ = parameters.gradient(prefix + "qkv").view(qkv_dims);
  gate_ = parameters.weight(prefix + "gate");
  dgate_ = parameters.gradient(prefix + "gate");
  norm_ = parameters.weight(prefix + "norm");
  dnorm_ = parameters.gradient(prefix + "norm");
  out_ = parameters.weight(prefix + "out");
  dout_ = parameters.gradient(prefix + "out");

  decay_rate_ = Tensor::contiguous(decay_buffer_.data(), DType::kFloat32, {heads_});
  std::vector<float> rates;
  for (std::int64_t h = 0; h < heads_; ++h) {
    const auto head = options.mesh.dense().tp * heads_ + h;
    rates.push_back(static_cast<float>(lightning_decay_rate(model, layer, head)));
  }
  Stream stream(options.mesh.device());
  upload(std::move(rates), decay_rate_, stream);
  stream.synchronize();
}

// The sums over the heads of all tp ranks from those of this rank, in place.
RmsNormParts LightningLayer::whole_rows(const Context& ctx, const Tensor& sums) const {
  options_.mesh.tp().all_reduce(sums, sums, ReduceOp::kSum, ctx.stream, "norm over all heads");
  return {.sums = sums, .width = width_};
}

void LightningLayer::forward(const Context& ctx, const Batch& batch, const Tensor& h,
                             const Tensor& out, Saved& saved) const {
  const auto T = batch.tokens, A = heads_ * head_dim_;
  auto& tp = options_.mesh.tp();
  saved.h = gather_rows(ctx, tp, batch.cuts, h, "attention input");
  saved.projected = ctx.arena.allocate({T, 3 * A}, h.dtype);
  saved.gate = ctx.arena.allocate({T, A}, h.dtype);
  saved.states_in = ctx.arena.allocate({batch.lightning.slots, heads_, head_dim_, head_dim_});
  linear_forward(ctx, saved.h, qkv_, saved.projected);
  linear_forward(ctx, saved.h, gate_, saved.gate);

  std::optional<Arena::Scope> not_kept;
  if (options_.recompute == Recompute::kSelective) not_kept.emplace(ctx.arena);
  attend(ctx, ctx, batch, saved);
  const Arena::Scope scope(ctx.arena);
  const auto partial = partial_sum(ctx, tp, batch.cuts, out);
  linear_forward(ctx, saved.gated, out_, partial);
  scatter_sum(ctx, tp, batch.cuts, partial, out, "attention output");
}

void LightningLayer::attend(const Context& ctx, const Context& kept, const Batch& batch,
                            Saved& saved) const {
  const auto T = batch.tokens, A = heads_ * head_dim_;
  saved.qkv = ctx.arena.allocate({T, heads_, 3, head_dim_}, saved.projected.dtype);
  saved.o = ctx.arena.like(saved.gate);
  saved.rstd = ctx.arena.allocate({T});
  saved.normed = ctx.arena.like(saved.gate);
  saved.gated = kept.arena.like(saved.gate);

  silu_forward({.x = saved.projected, .y = saved.qkv.view({T, 3 * A})}, ctx.stream);
  lightning_context_forward(ctx, options_.context_group(),
                            {.q = saved.qkv.select(2, 0),
                             .k = saved.qkv.select(2, 1),
                             .v = saved.qkv.select(2, 2),
                             .decay_rate = decay_rate_,
                             .plan = batch.lightning,
                             .states_in = saved.states_in,
                             .o = saved.o.view({T, heads_, head_dim_})});
  const Arena::Scope scope(ctx.arena);
  RmsNormForward norm{
      .x = saved.o, .weight = norm_, .y = saved.normed, .rstd = saved.rstd, .eps = norm_eps_};
  if (options_.mesh.tp().size() > 1) {
    const auto sums = ctx.arena.allocate({T}, DType::kFloat64);
    rms_norm_squares({.x = saved.o, .sums = sums}, ctx.stream);
    norm.parts = whole_rows(ctx, sums);
  }
  rms_norm_forward(norm, ctx.stream);
  sigmoid_gate_forward({.gate = saved.gate, .x = saved.normed, .y = saved.gated}, ctx.stream);
}

void LightningLayer::backward(const Context& ctx, const Batch& batch, const Tensor& dout,
                              Saved saved, const Tensor& dh, WeightGradients& weights) const {
  const Arena::Scope scope(ctx.arena);
  const auto T = batch.tokens, A = heads_ * head_dim_;
  auto& tp = options_.mesh.tp();
  const auto operands = weights.operands(ctx);
  if (options_.recompute == Recompute::kSelective) attend(ctx, operands, batch, saved);
  const auto dout_rows =
      gather_rows(operands, tp, batch.cuts, dout, "gradient of attention output");
  const auto dgated = ctx.arena.like(saved.gate);
  linear_weight_gradient(ctx, dout_rows, saved.gated, dout_, weights);
  linear_input_gradient(ctx, dout_rows, out_, dgated, Accumulate::kNo);

  const auto dgate = operands.arena.like(saved.gate), dnormed = ctx.arena.like(saved.gate);
  sigmoid_gate_backward(
      {.dy = dgated, .gate = saved.gate, .x = saved.normed, .dgate = dgate, .dx = dnormed},
      ctx.stream);
  const auto dh_sum = partial_sum(ctx, tp, batch.cuts, dh);
  linear_weight_gradient(ctx, dgate, saved.h, dgate_, weights);
  linear_input_gradient(ctx, dgate, gate_, dh_sum, Accumulate::kNo);

  const auto dattended = ctx.arena.like(saved.gate);
  RmsNormBackward norm{.dy = dnormed,
                       .x = saved.o,
                       .weight = norm_,
                       .rstd = saved.rstd,
                       .dx = dattended,
                       .dweight = dnorm_};
  if (tp.size() > 1) {
    const auto dots = ctx.arena.allocate({T}, DType::kFloat64);
    rms_norm_dots({.dy = dnormed, .x = saved.o, .weight = norm_, .sums = dots}, ctx.stream);
    norm.parts = whole_rows(ctx, dots);
  }
  rms_norm_backward(norm, ctx.stream);
  const auto dqkv = operands.arena.like(saved.qkv);
  lightning_context_backward(ctx, options_.context_group(),
                             {.q = saved.qkv.select(2, 0),
                              .k = saved.qkv.select(2, 1),
                              .v = saved.qkv.select(2, 2),
                              .dout = dattended.view({T, heads_, head_dim_}),
                              .decay_rate = decay_rate_,
                              .plan = batch.lightning,
                              .states_in = saved.states_in,
                              .dq = dqkv.select(2, 0),
                              .dk = dqkv.select(2, 1),
                              .dv = dqkv.select(2, 2)});
  const auto dprojected = dqkv.view({T, 3 * A});
  silu_backward({.dy = dprojected, .x = saved.projected, .dx = dprojected}, ctx.stream);
  linear_weight_gradient(ctx, dprojected, saved.h, dqkv_, weights);
  linear_input_gradient(ctx, dprojected, qkv_, dh_sum, Accumulate::kYes);
  scatter_sum(ctx, tp, batch.cuts, dh_sum, dh, "gradient of attention input");
}

}  // namespace fulgur
