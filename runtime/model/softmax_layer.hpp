#pragma once

#include "recipes/job.hpp"
#include "runtime/model/batch.hpp"
#include "runtime/model/parameter_set.hpp"

namespace fulgur {

// Grouped-query softmax attention with its projections (docs/math.md 1.2): causal within a document,
// rotary positions on the first rotary_dim dims of q and k.
//
//   h, out [T, C]
class SoftmaxLayer {
 public:
  SoftmaxLayer(const ModelSpec& model, std::int64_t layer, const ParameterSet& parameters);

  struct Saved {
    Tensor qkv;  // [T, H + 2 G, d], q and k rotated
    Tensor o;    // [T, H, d]
    Tensor lse;  // [T, H]
  };
  void forward(const Context& ctx, const Batch& batch, const Tensor& h, const Tensor& out,
               Saved& saved) const;
  // dh is overwritten; weight gradients are added to.
  void backward(const Context& ctx, const Batch& batch, const Tensor& dout, const Tensor& h,
                const Saved& saved, const Tensor& dh) const;

 private:
  std::int64_t heads_, kv_heads_, head_dim_, rotary_dim_;
  double rope_base_;
  float scale_;
  Tensor qkv_, out_;    // weights: [(H + 2 G) d, C], [C, H d]
  Tensor dqkv_, dout_;  // their gradients
};

}  // namespace fulgur
