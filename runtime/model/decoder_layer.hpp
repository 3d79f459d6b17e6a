#pragma once

#include <variant>

#include "runtime/model/lightning_layer.hpp"
#include "runtime/model/moe_layer.hpp"
#include "runtime/model/softmax_layer.hpp"

namespace fulgur {

// One layer of the model, post-norm with DeepNorm (docs/math.md 1): the residual is the NORMED input.
//
//   h = rms_norm(x; 1)      y   = alpha_attention h + beta_attention attention(h)
//   g = rms_norm(y; 2)      out = alpha_moe g + beta_moe moe(g)              all [rows, C]
class DecoderLayer {
 public:
  DecoderLayer(const ModelSpec& model, std::int64_t layer, const ParameterSet& parameters,
               const LayerOptions& options);

  struct Saved {
    Tensor x, rstd1;  // [rows, C], [rows]
    Tensor y, g, rstd2;
    std::variant<LightningLayer::Saved, SoftmaxLayer::Saved> attention;
    MoeLayer::Saved moe;
  };
  // Keeps a view of x: it must live as long as `saved`. `statistics` are this layer's.
  void forward(const Context& ctx, const Batch& batch, const Tensor& x, const Tensor& out,
               const RoutingStatistics& statistics, Saved& saved) const;
  struct Backward {
    Tensor dout;
    Tensor dprobability;  // [E]: of MoeLayer
    Tensor dx;            // overwritten; may be dout
  };
  void backward(const Context& ctx, const Batch& batch, const Backward& args, const Saved& saved,
                WeightGradients& weights) const;

 private:
  std::int64_t layer_;
  std::variant<LightningLayer, SoftmaxLayer> attention_;
  MoeLayer moe_;
  Tensor norm1_, norm2_, dnorm1_, dnorm2_;
  float norm_eps_;
  float attention_alpha_, attention_beta_, moe_alpha_, moe_beta_;
};

}  // namespace fulgur
