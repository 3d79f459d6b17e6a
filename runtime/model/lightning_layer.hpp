#pragma once

#include "kernels/rms_norm.hpp"
#include "runtime/model/batch.hpp"
#include "runtime/model/layer_options.hpp"
#include "runtime/model/parameter_set.hpp"
#include "runtime/model/weight_gradients.hpp"

namespace fulgur {

// Lightning attention with its projections (docs/math.md 1.1):
//
//   qkv = silu(h W_qkv^T)      out = (sigmoid(h W_gate^T) * rms_norm(lightning(q, k, v))) W_out^T
//
//   h, out [rows, C]     H heads on this tp rank, A = H d; inside, all T rows
//
// The norm spans the heads of all tp ranks. States cross cp ranks (lightning_context.hpp).
class LightningLayer {
 public:
  LightningLayer(const ModelSpec& model, std::int64_t layer, const ParameterSet& parameters,
                 const LayerOptions& options);

  struct Saved {
    Tensor h;          // [T, C]
    Tensor projected;  // [T, 3 A], before silu
    Tensor gate;       // [T, A], before sigmoid
    Tensor states_in;  // [slots, H, d, d]
    // From here on: calculated again by backward() when the options say so.
    Tensor qkv;     // [T, H, 3, d]
    Tensor o;       // [T, A]
    Tensor rstd;    // [T]
    Tensor normed;  // [T, A]
    Tensor gated;   // [T, A]
  };
  void forward(const Context& ctx, const Batch& batch, const Tensor& h, const Tensor& out,
               Saved& saved) const;
  // dh is overwritten; weight gradients are added to. dout lives as long as `weights` needs it.
  void backward(const Context& ctx, const Batch& batch, const Tensor& dout, Saved saved,
                const Tensor& dh, WeightGradients& weights) const;

 private:
  // From `projected` and `gate` to `gated`, which lies in `kept`.
  void attend(const Context& ctx, const Context& kept, const Batch& batch, Saved& saved) const;
  RmsNormParts whole_rows(const Context& ctx, const Tensor& sums) const;

  LayerOptions options_;
  std::int64_t heads_, head_dim_, width_;  // on this rank; of a head; H d of the whole model
  float norm_eps_;
  Tensor qkv_, gate_, norm_, out_;      // weights
  Tensor dqkv_, dgate_, dnorm_, dout_;  // their gradients
  Buffer decay_buffer_;
  Tensor decay_rate_;  // [H]
};

}  // namespace fulgur
