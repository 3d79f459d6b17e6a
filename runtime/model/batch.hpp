#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "kernels/context.hpp"
#include "recipes/token_runs.hpp"
#include "runtime/data/sampler.hpp"
#include "runtime/parallel/context/lightning_context.hpp"
#include "runtime/parallel/context/ring_attention.hpp"
#include "runtime/parallel/mesh.hpp"

namespace fulgur {

// The tokens of one global micro-batch that lie on one rank: T rows, its chunks end to end (TokenGrid).
struct Batch {
  TokenGrid grid;
  std::int64_t tokens = 0;         // T
  std::vector<std::int64_t> cuts;  // [tp + 1]: the rows of tp rank i between blocks
  std::int64_t first_row = 0;      // this rank's, cuts[tp rank]
  std::int64_t rows = 0;           // and their number
  Tensor ids;                      // [T] int32
  Tensor labels;                   // [T] int32, kIgnoredLabel where none
  Tensor positions;                // [T] int32, restart at every document
  LightningPlan lightning;
  RingPlan ring;
  // By layer, the router's probabilities [rows, E] of a run whose choices are taken at near ties
  // (kernels/router.hpp: RouterReplay). Empty in ordinary training.
  std::map<std::int64_t, Tensor> reference = {};
};

// Lays this rank's part of `samples` out, which are the sequences of its dp rank in order, and queues the
// upload. The tensors live in ctx.arena. `grid` is that of the global micro-batch.
Batch make_batch(const Context& ctx, const Mesh& mesh, const TokenGrid& grid,
                 std::span<const Sample> samples);

// The grid of `sequences` sequences of `length` tokens, all dp ranks together.
TokenGrid token_grid(const Layout& layout, ContextOrder order, std::int64_t sequences,
                     std::int64_t length);

}  // namespace fulgur
