#pragma once

#include "recipes/job.hpp"
#include "runtime/model/batch.hpp"
#include "runtime/model/parameter_set.hpp"

namespace fulgur {

// Lightning attention with its projections (docs/math.md 1.1):
//
//   qkv = silu(h W_qkv^T)      out = (sigmoid(h W_gate^T) * rms_norm(lightning(q, k, v))) W_out^T
//
//   h, out [T, C]     A = H d, the attention width
class LightningLayer {
 public:
  LightningLayer(const ModelSpec& model, std::int64_t layer, const ParameterSet& parameters,
                 Device device);

  struct Saved {
    Tensor projected;  // [T, 3 A], before silu
    Tensor qkv;        // [T, H, 3, d]
    Tensor o;          // [T, A]
    Tensor rstd;       // [T]
    Tensor normed;     // [T, A]
    Tensor gate;       // [T, A], before sigmoid
    Tensor gated;      // [T, A]
  };
  void forward(const Context& ctx, const Batch& batch, const Tensor& h, const Tensor& out,
               Saved& saved) const;
  // dh is overwritten; weight gradients are added to.
  void backward(const Context& ctx, const Batch& batch, const Tensor& dout, const Tensor& h,
                const Saved& saved, const Tensor& dh) const;

 private:
  std::int64_t heads_, head_dim_;
  float norm_eps_;
  Tensor qkv_, gate_, norm_, out_;      // weights
  Tensor dqkv_, dgate_, dnorm_, dout_;  // their gradients
  Buffer decay_buffer_;
  Tensor decay_rate_;  // [H]
};

}  // namespace fulgur
