#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/memory.hpp"
#include "recipes/parameters.hpp"

namespace fulgur {

// A parameter as this rank holds it: where its weights and gradients begin in the flat buffers.
struct LocalParameter {
  Parameter parameter;
  std::int64_t offset = 0;
};

// All parameters of one kind on this rank, one behind the other in table order, without gaps. The
// padding at the end makes the count a multiple of `share_count`; it stays zero.
struct FlatParameters {
  std::vector<LocalParameter> parameters;
  std::int64_t count = 0;  // padded
  Tensor weight;           // [count] float32
  Tensor gradient;         // [count] float32
};

// Weights and gradients of the model on one rank. They are views into one flat buffer per kind, so that
// gradients are reduced, and weights are gathered, in a few large operations.
class ParameterSet {
 public:
  // Weights and gradients are zero at first. `share_count` is the number of ranks that share the
  // optimizer's work (ZeRO-1).
  ParameterSet(const ModelSpec& model, WeightDecayOn decay_on, Device device, int share_count);

  // By the name in the parameter table. Throw std::invalid_argument for another.
  Tensor weight(std::string_view name) const;
  Tensor gradient(std::string_view name) const;

  // Neighbours in the table seen as one matrix [sum of rows, C]: one product then serves q, k and v.
  Tensor fused_weight(std::string_view first, std::string_view last) const;
  Tensor fused_gradient(std::string_view first, std::string_view last) const;

  const std::vector<FlatParameters>& flats() const noexcept { return flats_; }  // dense, expert

 private:
  struct Place {
    std::size_t flat, index;
  };
  Place find(std::string_view name) const;
  Tensor view(const Tensor& flat, const LocalParameter& parameter) const;
  Tensor fused(std::string_view first, std::string_view last, Tensor FlatParameters::*which) const;

  std::vector<FlatParameters> flats_;
  std::vector<Buffer> buffers_;
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace fulgur
