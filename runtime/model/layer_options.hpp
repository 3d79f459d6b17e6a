#pragma once

#include "recipes/job.hpp"
#include "runtime/parallel/context/context_group.hpp"
#include "runtime/parallel/mesh.hpp"

namespace fulgur {

// With whom a layer works, how it exchanges, and what it keeps for the backward pass.
struct LayerOptions {
  Mesh& mesh;  // outlives the layer
  LightningContext lightning = LightningContext::kLaspPlus;
  std::int64_t token_groups = 1;
  Recompute recompute = Recompute::kNone;
  bool graphs = false;  // layer_graphs.hpp

  // Over which ranks attention lies.
  ContextGroup context_group() const { return {mesh.cp(), mesh.cp_stream(), lightning}; }
};

}  // namespace fulgur
