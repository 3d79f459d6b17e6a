#include "runtime/model/lightning_layer.hpp"

#include "kernels/activation.hpp"
#include "kernels/rms_norm.hpp"
#include "recipes/lightning_decay.hpp"
#include "runtime/model/linear.hpp"

namespace fulgur {

LightningLayer::LightningLayer(const ModelSpec& model, std::int64_t layer,
                               const ParameterSet& parameters, Device device)
    : heads_(model.heads),
      head_dim_(model.head_dim),
      norm_eps_(static_cast<float>(model.lightning_norm_eps)),
      decay_buffer_(device, static_cast<std::size_t>(model.heads) * sizeof(float)) {
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
  for (std::int64_t h = 0; h < heads_; ++h)
    decay_rate_.as<float>()[h] = static_cast<float>(lightning_decay_rate(model, layer, h));
}

void LightningLayer::forward(const Context& ctx, const Batch& batch, const Tensor& h,
                             const Tensor& out, Saved& saved) const {
  const auto T = batch.tokens, A = heads_ * head_dim_;
  saved.projected = ctx.arena.allocate({T, 3 * A});
  saved.qkv = ctx.arena.allocate({T, heads_, 3, head_dim_});
  saved.o = ctx.arena.allocate({T, A});
  saved.rstd = ctx.arena.allocate({T});
  saved.normed = ctx.arena.allocate({T, A});
  saved.gate = ctx.arena.allocate({T, A});
  saved.gated = ctx.arena.allocate({T, A});

  linear_forward(ctx, h, qkv_, saved.projected);
  silu_forward({.x = saved.projected, .y = saved.qkv.view({T, 3 * A})}, ctx.stream);
  lightning_output_forward({.q = saved.qkv.select(2, 0),
                            .k = saved.qkv.select(2, 1),
                            .v = saved.qkv.select(2, 2),
                            .decay_rate = decay_rate_,
                            .segments = batch.segments,
                            .o = saved.o.view({T, heads_, head_dim_})},
                           ctx.stream);
  rms_norm_forward(
      {.x = saved.o, .weight = norm_, .y = saved.normed, .rstd = saved.rstd, .eps = norm_eps_},
      ctx.stream);
  linear_forward(ctx, h, gate_, saved.gate);
  sigmoid_gate_forward({.gate = saved.gate, .x = saved.normed, .y = saved.gated}, ctx.stream);
  linear_forward(ctx, saved.gated, out_, out);
}

void LightningLayer::backward(const Context& ctx, const Batch& batch, const Tensor& dout,
                              const Tensor& h, const Saved& saved, const Tensor& dh) const {
  const Arena::Scope scope(ctx.arena);
  const auto T = batch.tokens, A = heads_ * head_dim_;
  const auto dgated = ctx.arena.allocate({T, A});
  linear_weight_gradient(ctx, dout, saved.gated, dout_);
  linear_input_gradient(ctx, dout, out_, dgated, Accumulate::kNo);

  const auto dgate = ctx.arena.allocate({T, A}), dnormed = ctx.arena.allocate({T, A});
  sigmoid_gate_backward(
      {.dy = dgated, .gate = saved.gate, .x = saved.normed, .dgate = dgate, .dx = dnormed},
      ctx.stream);
  linear_weight_gradient(ctx, dgate, h, dgate_);
  linear_input_gradient(ctx, dgate, gate_, dh, Accumulate::kNo);

  const auto dattended = ctx.arena.allocate({T, A});
  rms_norm_backward({.dy = dnormed,
                     .x = saved.o,
                     .weight = norm_,
                     .rstd = saved.rstd,
                     .dx = dattended,
                     .dweight = dnorm_},
                    ctx.stream);
  const auto dqkv = ctx.arena.allocate({T, heads_, 3, head_dim_});
  lightning_output_backward({.q = saved.qkv.select(2, 0),
                             .k = saved.qkv.select(2, 1),
                             .v = saved.qkv.select(2, 2),
                             .dout = dattended.view({T, heads_, head_dim_}),
                             .decay_rate = decay_rate_,
                             .segments = batch.segments,
                             .dq = dqkv.select(2, 0),
                             .dk = dqkv.select(2, 1),
                             .dv = dqkv.select(2, 2)},
                            ctx.stream);
  const auto dprojected = dqkv.view({T, 3 * A});
  silu_backward({.dy = dprojected, .x = saved.projected, .dx = dprojected}, ctx.stream);
  linear_weight_gradient(ctx, dprojected, h, dqkv_);
  linear_input_gradient(ctx, dprojected, qkv_, dh, Accumulate::kYes);
}

}  // namespace fulgur
