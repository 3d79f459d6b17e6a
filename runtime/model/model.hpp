#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "runtime/model/decoder_layer.hpp"
#include "runtime/model/layer_graphs.hpp"

namespace fulgur {

// Called with a place of the model (parameter_set.hpp): before its weights are first used in a forward
// pass, or when all work on its gradients in a backward pass is queued.
using PlaceHook = std::function<void(std::int64_t place)>;

// Called when a layer's forward pass is queued, with what it keeps and its output [rows, C]. With full
// recomputation `saved` lives only as long as the call.
using LayerHook =
    std::function<void(std::int64_t layer, const DecoderLayer::Saved& saved, const Tensor& out)>;

// What a forward pass tells on its way; either may be empty.
struct ForwardHooks {
  PlaceHook before = {};
  LayerHook after_layer = {};
};

// A piece of the model on one rank, or the whole of it: embedding, layers, final norm, head and
// cross-entropy, as far as they belong to the piece.
//
// One micro-batch is forward(), then backward(), inside one Arena::Scope of the caller; where the piece
// has the head, loss() or logits() come in between. Gradients are added to the ParameterSet's.
//
//   x, dx [rows, C]: activations between layers, this rank's rows (Batch)
class Model {
 public:
  // `parameters` and what `options` names must outlive the model.
  Model(const ModelSpec& model, const ModelPiece& piece, const ParameterSet& parameters,
        const LayerOptions& options);

  struct Saved {
    std::vector<DecoderLayer::Saved> layers;  // only x where everything else is calculated again
    Tensor out;                               // of the last layer [rows, C]
    Tensor rstd, hidden;  // with a head: of the final norm [rows], and its output [rows, C]
  };

  // x is the output of the piece before; not read by the first one. `routing` [layers of the piece, ...].
  void forward(const Context& ctx, const Batch& batch, const Tensor& x,
               const RoutingStatistics& routing, Saved& saved,
               const ForwardHooks& hooks = {}) const;

  // Some rows of hidden [R, C] to logits [R, V / tp]: the vocabulary of this tp rank.
  void logits(const Context& ctx, const Tensor& hidden, const Tensor& logits) const;

  // loss [1] float64 += the sum of the cross-entropy of this rank's rows; dhidden [rows, C] = scale times
  // its gradient. The head's weight gradient is added. A scale of 1 / n makes the gradient that of the
  // mean.
  void loss(const Context& ctx, const Batch& batch, const Tensor& hidden, float scale,
            const Tensor& loss, const Tensor& dhidden) const;

  // dout: with a head, the gradient of saved.hidden; else of saved.out. dprobability [layers of the
  // piece, E] float32: gradient of the auxiliary loss (kernels/auxiliary_loss.hpp). dx is overwritten,
  // and may be dout; the first piece leaves it without meaning.
  struct Backward {
    Tensor dout, dprobability, dx;
  };
  void backward(const Context& ctx, const Batch& batch, const Backward& args, const Saved& saved,
                WeightGradients& weights, const PlaceHook& after = {}) const;

  const ModelPiece& piece() const noexcept { return piece_; }
  std::int64_t num_layers() const noexcept { return piece_.last - piece_.first; }
  // Passes of layers that were launched as graphs so far.
  std::int64_t graph_launches() const noexcept { return graphs_ ? graphs_->launches() : 0; }

 private:
  void embed(const Context& ctx, const Batch& batch, const Tensor& x) const;
  void forward_layer(const Context& ctx, const Batch& batch, std::size_t layer,
                     const RoutingStatistics& statistics, Saved& saved,
                     const LayerHook& after) const;
  void backward_layer(const Context& ctx, const Batch& batch, std::size_t layer,
                      const DecoderLayer::Backward& args, const DecoderLayer::Saved& saved,
                      WeightGradients& weights) const;

  ModelSpec model_;
  ModelPiece piece_;
  LayerOptions options_;
  DType dtype_;  // of activations
  std::vector<DecoderLayer> layers_;
  std::unique_ptr<LayerGraphs>
      graphs_;  // none: kernel by kernel. Behind the layers, which they use
  Tensor embedding_, final_norm_, head_;
  Tensor dembedding_, dfinal_norm_, dhead_;
  std::int32_t first_id_;  // of the vocabulary of this tp rank
};

}  // namespace fulgur
