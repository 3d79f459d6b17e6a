#include "runtime/model/softmax_layer.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "runtime/model/linear.hpp"
#include "runtime/parallel/row_shards.hpp"

namespace fulgur {
namespace {

// The columns of some heads of [T, heads, d], as a matrix.
Tensor columns(const Tensor& qkv, std::int64_t first, std::int64_t count) {
  const auto T = qkv.dims[0], d = qkv.dims[2];
  return qkv.view({T, qkv.dims[1] * d}).slice(1, first * d, count * d);
}

}  // namespace

SoftmaxLayer::SoftmaxLayer(const ModelSpec& model, std::int64_t layer,
                           const ParameterSet& parameters, const LayerOptions& options)
    : options_(options),
      heads_(model.heads / options.mesh.layout().tp),
      kv_heads_(std::max<std::int64_t>(1, model.kv_heads / options.mesh.layout().tp)),
      head_dim_(model.head_dim),
      rotary_dim_(model.rotary_dim),
      rope_base_(model.rope_base),
      scale_(static_cast<float>(1.0 / std::sqrt(static_cast<double>(model.head_dim)))) {
  const auto prefix = "layers." + std::to_string(layer) + ".attention.";
  q_ = parameters.weight(prefix + "q");
  dq_ = parameters.gradient(prefix + "q");
  kv_ = parameters.fused_weight(prefix + "k", prefix + "v");
  dkv_ = parameters.fused_gradient(prefix + "k", prefix + "v");
  out_ = parameters.weight(prefix + "out");
  dout_ = parameters.gradient(prefix + "out");
}

void SoftmaxLayer::turn(const Context& ctx, const Batch& batch, const Tensor& qkv,
                        RotaryDirection direction) const {
  rotary({.x = qkv.slice(1, 0, heads_ + kv_heads_),
          .positions = batch.positions,
          .rotary_dim = rotary_dim_,
          .base = rope_base_,
          .direction = direction},
         ctx.stream);
}

void SoftmaxLayer::forward(const Context& ctx, const Batch& batch, const Tensor& h,
                           const Tensor& out, Saved& saved) const {
  const auto T = batch.tokens;
  auto& tp = options_.mesh.tp();
  saved.h = gather_rows(ctx, tp, batch.cuts, h, "attention input");
  saved.qkv = ctx.arena.allocate({T, heads_ + 2 * kv_heads_, head_dim_}, h.dtype);
  linear_forward(ctx, saved.h, q_, columns(saved.qkv, 0, heads_));
  linear_forward(ctx, saved.h, kv_, columns(saved.qkv, heads_, 2 * kv_heads_));
  turn(ctx, batch, saved.qkv, RotaryDirection::kForward);

  std::optional<Arena::Scope> not_kept;
  if (options_.recompute == Recompute::kSelective) not_kept.emplace(ctx.arena);
  attend(ctx, ctx, batch, saved);
  const Arena::Scope scope(ctx.arena);
  const auto partial = partial_sum(ctx, tp, batch.cuts, out);
  linear_forward(ctx, saved.o.view({T, heads_ * head_dim_}), out_, partial);
  scatter_sum(ctx, tp, batch.cuts, partial, out, "attention output");
}

void SoftmaxLayer::attend(const Context& ctx, const Context& kept, const Batch& batch,
                          Saved& saved) const {
  const auto T = batch.tokens;
  saved.o = kept.arena.allocate({T, heads_, head_dim_}, saved.qkv.dtype);
  saved.lse = ctx.arena.allocate({T, heads_});
  ring_attention_forward(ctx, options_.context_group(),
                         {.q = queries(saved.qkv),
                          .k = keys(saved.qkv),
                          .v = values(saved.qkv),
                          .plan = batch.ring,
                          .scale = scale_,
                          .o = saved.o,
                          .lse = saved.lse});
}

void SoftmaxLayer::backward(const Context& ctx, const Batch& batch, const Tensor& dout, Saved saved,
                            const Tensor& dh, WeightGradients& weights) const {
  const Arena::Scope scope(ctx.arena);
  const auto operands = weights.operands(ctx);
  const auto T = batch.tokens, A = heads_ * head_dim_;
  auto& tp = options_.mesh.tp();
  if (options_.recompute == Recompute::kSelective) attend(ctx, operands, batch, saved);
  const auto dout_rows =
      gather_rows(operands, tp, batch.cuts, dout, "gradient of attention output");
  const auto dattended = ctx.arena.like(saved.o);
  linear_weight_gradient(ctx, dout_rows, saved.o.view({T, A}), dout_, weights);
  linear_input_gradient(ctx, dout_rows, out_, dattended.view({T, A}), Accumulate::kNo);

  const auto dqkv = operands.arena.like(saved.qkv);
  fill_zero(dqkv, ctx.stream);
  ring_attention_backward(ctx, options_.context_group(),
                          {.dout = dattended,
                           .q = queries(saved.qkv),
                           .k = keys(saved.qkv),
                           .v = values(saved.qkv),
                           .o = saved.o,
                           .lse = saved.lse,
                           .plan = batch.ring,
                           .scale = scale_,
                           .dq = queries(dqkv),
                           .dk = keys(dqkv),
                           .dv = values(dqkv)});
  turn(ctx, batch, dqkv, RotaryDirection::kInverse);
  const auto dq = columns(dqkv, 0, heads_), dkv = columns(dqkv, heads_, 2 * kv_heads_);
  const auto dh_sum = partial_sum(ctx, tp, batch.cuts, dh);
  linear_weight_gradient(ctx, dq, saved.h, dq_, weights);
  linear_weight_gradient(ctx, dkv, saved.h, dkv_, weights);
  linear_input_gradient(ctx, dq, q_, dh_sum, Accumulate::kNo);
  linear_input_gradient(ctx, dkv, kv_, dh_sum, Accumulate::kYes);
  scatter_sum(ctx, tp, batch.cuts, dh_sum, dh, "gradient of attention input");
}

}  // namespace fulgur
