#pragma once

#include <vector>

#include "runtime/model/decoder_layer.hpp"

namespace fulgur {

// The whole model on one rank: embedding, layers, final norm, head, cross-entropy.
//
// One micro-batch is forward(), then loss() or logits(), then backward(), all inside one Arena::Scope of
// the caller. Gradients are added to the ParameterSet's.
class Model {
 public:
  // `parameters` must outlive the model.
  Model(const ModelSpec& model, const ParameterSet& parameters, Device device);

  struct Saved {
    std::vector<DecoderLayer::Saved> layers;
    Tensor x, rstd;  // the final norm's input [T, C] and rstd [T]
    Tensor hidden;   // its output [T, C]
    RoutingStatistics routing;
  };

  // Fills saved.hidden and saved.routing.
  void forward(const Context& ctx, const Batch& batch, Saved& saved) const;

  // Rows of hidden [R, C] to logits [R, V].
  void logits(const Context& ctx, const Tensor& hidden, const Tensor& logits) const;

  // loss [1] float64 += sum of the tokens' cross-entropy; dhidden [T, C] = scale * its gradient. The
  // head's weight gradient is added. A scale of 1 / n makes the gradient that of the mean.
  void loss(const Context& ctx, const Batch& batch, const Tensor& hidden, float scale,
            const Tensor& loss, const Tensor& dhidden) const;

  // dprobability [L, E] float32: gradient of the auxiliary loss (kernels/auxiliary_loss.hpp).
  // dhidden is overwritten.
  void backward(const Context& ctx, const Batch& batch, const Tensor& dhidden,
                const Tensor& dprobability, const Saved& saved) const;

 private:
  ModelSpec model_;
  std::vector<DecoderLayer> layers_;
  Tensor embedding_, final_norm_, head_;
  Tensor dembedding_, dfinal_norm_, dhead_;
};

}  // namespace fulgur
