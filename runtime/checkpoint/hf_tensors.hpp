#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recipes/parameters.hpp"

namespace fulgur {

// The names that transformers' MiniMax gives to tensors: those of its files, with one tensor per matrix
// of an expert, or those in memory, where the experts of a layer are stacked.
enum class HfNaming { kFiles, kMemory };

// A tensor of theirs is a flat range of a parameter of ours: everything is row-major, and the orders agree
// (q, k and v of a head behind one another; w1 and w3 of an expert behind one another).
struct HfTensor {
  std::string name;  // "model.layers.0.self_attn.qkv_proj.weight"
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0;  // flat elements of the parameter

  std::int64_t count() const;
};

// The tensors that make up a parameter, in order.
std::vector<HfTensor> hf_tensors(const ModelSpec& model, const Parameter& parameter,
                                 HfNaming naming);

// What transformers derives from the shape of the model and saves with the weights: of a lightning layer,
// with `block` tokens in a block.
struct HfBuffer {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};
std::vector<HfBuffer> hf_buffers(const ModelSpec& model, std::int64_t layer, std::int64_t block);

// Whether a name belongs to a tensor that is derived, not learnt.
bool is_hf_buffer(const std::string& name);

}  // namespace fulgur
