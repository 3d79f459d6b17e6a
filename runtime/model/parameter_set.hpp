#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/memory.hpp"
#include "recipes/parameters.hpp"
#include "recipes/pipeline_layers.hpp"
#include "runtime/parallel/mesh.hpp"

namespace fulgur {

// Places of a model are its layers, 0 ... L-1, and what stands before and behind them.
inline constexpr std::int64_t kEmbeddingPlace = -1;
inline constexpr std::int64_t kHeadPlace = std::numeric_limits<std::int64_t>::max();

// A parameter as this rank holds it.
struct LocalParameter {
  Parameter parameter;      // the whole
  ParameterPart part;       // what of it lies here
  std::int64_t offset = 0;  // where its weights and gradients begin in the flat buffers

  std::int64_t count() const;
};

// All parameters on this rank that the same ranks hold too and whose weights have one dtype, one behind
// the other in table order, without gaps. The padding at the end makes the count a multiple of the number of these ranks; it stays zero.
struct FlatParameters {
  ParameterKind kind = ParameterKind::kDense;
  int copies = 1;                    // tp_copies()
  Communicator* replicas = nullptr;  // the ranks: gradients are summed over them
  std::vector<LocalParameter> parameters;
  std::int64_t count = 0;  // padded
  Tensor weight;           // [count] float32 or bfloat16
  Tensor gradient;         // [count] float32
};

// Weights and gradients of the model on one rank. They are views into a few flat buffers, so that
// gradients are reduced, and weights are gathered, in a few large operations.
class ParameterSet {
 public:
  // The parameters of the given pieces of the model. With bfloat16 the weights of matrices are rounded
  // to it, but for the router's; the optimizer then holds the exact ones. Weights and gradients are zero
  // at first. `mesh` must outlive it. Collective over the ranks of a stage.
  ParameterSet(const ModelSpec& model, WeightDecayOn decay_on, Mesh& mesh,
               std::span<const ModelPiece> pieces, DType activations = DType::kFloat32);

  // The dtype of activations, and of the matrices that they are multiplied with.
  DType activations() const noexcept { return activations_; }

  // This rank's part, by the name in the parameter table. Throw std::invalid_argument for another.
  Tensor weight(std::string_view name) const;
  Tensor gradient(std::string_view name) const;

  // Neighbours in the table that the same ranks hold, seen as one matrix [sum of rows, C]: one product
  // then serves k and v.
  Tensor fused_weight(std::string_view first, std::string_view last) const;
  Tensor fused_gradient(std::string_view first, std::string_view last) const;

  const std::vector<FlatParameters>& flats() const noexcept { return flats_; }

 private:
  struct Place {
    std::size_t flat, index;
  };
  FlatParameters& flat_for(const Parameter& parameter, Mesh& mesh);
  DType weight_dtype(const Parameter& parameter) const;
  Place find(std::string_view name) const;
  Tensor view(const Tensor& flat, const LocalParameter& parameter) const;
  Tensor fused(std::string_view first, std::string_view last, Tensor FlatParameters::*which) const;

  DType activations_;
  std::vector<FlatParameters> flats_;
  std::vector<Buffer> buffers_;
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace fulgur
