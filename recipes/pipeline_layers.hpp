#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "recipes/job.hpp"
#include "recipes/parameters.hpp"

namespace fulgur {

// How the layers of a model are cut into the pp * virtual_stages pieces of a pipeline (docs/math.md 2.6).
// The first piece has the embedding too, the last one the final norm and the head.

// FLOPs of a forward pass per token, the products of matrices only; a backward pass has twice as many,
// so the proportions are the same. With the letters of docs/math.md 1:
//
//   softmax layer     2 C (2 H d + 2 G d) + 4 H d (N+1)/2    a token sees (N+1)/2 keys on the average,
//                                                            if a sequence is one document
//   lightning layer   2 C 5 H d           + 4 H d (d + b/2)  the state, and the half block of tokens
//                                                            that is not in it yet; b = 256
//   both              2 C E + 6 k C F                        router, and the experts of a token
//   head              2 C V                                  the embedding has none
inline constexpr double kLightningBlock = 256;  // b, tokens; that of arXiv 2501.08313
double layer_flops(const ModelSpec& model, std::int64_t sequence_length, std::int64_t layer);
double head_flops(const ModelSpec& model);

// The number of layers in each piece, [pp * virtual_stages], in the order of the model.
//
// As job.pipeline.layers says, if it says something: a piece has no layers only where the recipe gives
// it 0. Else at least one each, so that the most expensive piece is as cheap as can be (balanced_cuts).
// Throws std::invalid_argument when there are more pieces than layers. Cost: O(layers).
std::vector<std::int64_t> layers_per_piece(const Job& job);

// Cuts costs.size() layers into `pieces` runs of at least one, of which the last one costs `tail` more.
// The most expensive run is as cheap as in any other such cut; of the cuts that have this in common, from
// the front on, each run is the nearest to an even share of what is left. REQUIRES: costs and tail not
// negative and finite. Throws std::invalid_argument unless 1 <= pieces <= costs.size().
std::vector<std::int64_t> balanced_cuts(std::span<const double> costs, double tail,
                                        std::int64_t pieces);

// Neighbouring layers of a model, first .. last-1, perhaps none; the first piece of a model begins with
// the embedding, the last one ends with the final norm and the head.
struct ModelPiece {
  std::int64_t first = 0, last = 0;
  bool has_embedding = true, has_head = true;

  bool holds(const Parameter& parameter) const;
};

// The pieces of a pipeline stage: number stage, stage + pp, ... of a model cut into pieces of
// layers_per_piece[0], layers_per_piece[1], ... layers.
std::vector<ModelPiece> pieces_of_stage(std::span<const std::int64_t> layers_per_piece, int pp,
                                        int stage);

}  // namespace fulgur
