#pragma once

#include "kernels/rotary.hpp"
#include "runtime/model/batch.hpp"
#include "runtime/model/layer_options.hpp"
#include "runtime/model/parameter_set.hpp"
#include "runtime/model/weight_gradients.hpp"

namespace fulgur {

// Grouped-query softmax attention with its projections (docs/math.md 1.2): causal within a document,
// rotary positions on the first rotary_dim dims of q and k.
//
//   h, out [rows, C]     H query heads and G key and value heads on this tp rank; inside, all T rows
//
// With fewer key and value heads than tp ranks, neighbouring ranks have copies of one. Keys and values
// travel around the cp ranks (ring_attention.hpp).
class SoftmaxLayer {
 public:
  SoftmaxLayer(const ModelSpec& model, std::int64_t layer, const ParameterSet& parameters,
               const LayerOptions& options);

  struct Saved {
    Tensor h;    // [T, C]
    Tensor qkv;  // [T, H + 2 G, d], q and k rotated
    // From here on: calculated again by backward() when the options say so.
    Tensor o;    // [T, H, d]
    Tensor lse;  // [T, H]
  };
  void forward(const Context& ctx, const Batch& batch, const Tensor& h, const Tensor& out,
               Saved& saved) const;
  // dh is overwritten; weight gradients are added to. dout lives as long as `weights` needs it.
  void backward(const Context& ctx, const Batch& batch, const Tensor& dout, Saved saved,
                const Tensor& dh, WeightGradients& weights) const;

 private:
  // q, k, v as views of the fused tensor [T, H + 2 G, d]; and q with k, which turn.
  Tensor queries(const Tensor& qkv) const { return qkv.slice(1, 0, heads_); }
  Tensor keys(const Tensor& qkv) const { return qkv.slice(1, heads_, kv_heads_); }
  Tensor values(const Tensor& qkv) const { return qkv.slice(1, heads_ + kv_heads_, kv_heads_); }
  void turn(const Context& ctx, const Batch& batch, const Tensor& qkv,
            RotaryDirection direction) const;
  // From qkv to o, which lies in `kept`.
  void attend(const Context& ctx, const Context& kept, const Batch& batch, Saved& saved) const;

  LayerOptions options_;
  std::int64_t heads_, kv_heads_, head_dim_, rotary_dim_;
  double rope_base_;
  float scale_;
  Tensor q_, kv_, out_;     // weights: [H d, C], [2 G d, C], [C, H d]
  Tensor dq_, dkv_, dout_;  // their gradients
};

}  // namespace fulgur
