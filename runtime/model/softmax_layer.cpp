#include "runtime/model/softmax_layer.hpp"

#include <cmath>

#include "kernels/rotary.hpp"
#include "kernels/softmax_attention.hpp"
#include "runtime/model/linear.hpp"

namespace fulgur {

SoftmaxLayer::SoftmaxLayer(const ModelSpec& model, std::int64_t layer,
                           const ParameterSet& parameters)
    : heads_(model.heads),
      kv_heads_(model.kv_heads),
      head_dim_(model.head_dim),
      rotary_dim_(model.rotary_dim),
      rope_base_(model.rope_base),
      scale_(static_cast<float>(1.0 / std::sqrt(static_cast<double>(model.head_dim)))) {
  const auto prefix = "layers." + std::to_string(layer) + ".attention.";
  qkv_ = parameters.fused_weight(prefix + "q", prefix + "v");
  dqkv_ = parameters.fused_gradient(prefix + "q", prefix + "v");
  out_ = parameters.weight(prefix + "out");
  dout_ = parameters.gradient(prefix + "out");
}

void SoftmaxLayer::forward(const Context& ctx, const Batch& batch, const Tensor& h,
                           const Tensor& out, Saved& saved) const {
  const auto T = batch.tokens, rotated = heads_ + kv_heads_, all = rotated + kv_heads_;
  saved.qkv = ctx.arena.allocate({T, all, head_dim_});
  saved.o = ctx.arena.allocate({T, heads_, head_dim_});
  saved.lse = ctx.arena.allocate({T, heads_});

  linear_forward(ctx, h, qkv_, saved.qkv.view({T, all * head_dim_}));
  rotary({.x = saved.qkv.slice(1, 0, rotated),
          .positions = batch.positions,
          .rotary_dim = rotary_dim_,
          .base = rope_base_,
          .direction = RotaryDirection::kForward},
         ctx.stream);
  softmax_attention_forward({.q = saved.qkv.slice(1, 0, heads_),
                             .k = saved.qkv.slice(1, heads_, kv_heads_),
                             .v = saved.qkv.slice(1, rotated, kv_heads_),
                             .spans = batch.spans,
                             .scale = scale_,
                             .o = saved.o,
                             .lse = saved.lse},
                            ctx.stream);
  linear_forward(ctx, saved.o.view({T, heads_ * head_dim_}), out_, out);
}

void SoftmaxLayer::backward(const Context& ctx, const Batch& batch, const Tensor& dout,
                            const Tensor& h, const Saved& saved, const Tensor& dh) const {
  const Arena::Scope scope(ctx.arena);
  const auto T = batch.tokens, rotated = heads_ + kv_heads_, all = rotated + kv_heads_;
  const auto dattended = ctx.arena.allocate({T, heads_, head_dim_});
  linear_weight_gradient(ctx, dout, saved.o.view({T, heads_ * head_dim_}), dout_);
  linear_input_gradient(ctx, dout, out_, dattended.view({T, heads_ * head_dim_}), Accumulate::kNo);

  const auto dqkv = ctx.arena.allocate({T, all, head_dim_});
  fill_zero(dqkv, ctx.stream);
  softmax_attention_backward({.dout = dattended,
                              .q = saved.qkv.slice(1, 0, heads_),
                              .k = saved.qkv.slice(1, heads_, kv_heads_),
                              .v = saved.qkv.slice(1, rotated, kv_heads_),
                              .o = saved.o,
                              .lse = saved.lse,
                              .spans = batch.spans,
                              .scale = scale_,
                              .dq = dqkv.slice(1, 0, heads_),
                              .dk = dqkv.slice(1, heads_, kv_heads_),
                              .dv = dqkv.slice(1, rotated, kv_heads_)},
                             ctx.stream);
  rotary({.x = dqkv.slice(1, 0, rotated),
          .positions = batch.positions,
          .rotary_dim = rotary_dim_,
          .base = rope_base_,
          .direction = RotaryDirection::kInverse},
         ctx.stream);
  const auto dprojected = dqkv.view({T, all * head_dim_});
  linear_weight_gradient(ctx, dprojected, h, dqkv_);
  linear_input_gradient(ctx, dprojected, qkv_, dh, Accumulate::kNo);
}

}  // namespace fulgur
