#pragma once

#include <cstdint>
#include <span>

#include "recipes/cost/hardware.hpp"
#include "recipes/cost/model_state.hpp"
#include "recipes/cost/rank_shape.hpp"

namespace fulgur {

// Bytes that a micro-batch takes in one piece of the model, from its forward pass to the end of its last
// one: all that is kept, and the largest temporaries besides. Products for weights that a zero-bubble
// schedule puts off have an arena of their own for what they read.
struct PieceMemory {
  std::int64_t work = 0, operands = 0;

  std::int64_t total() const { return work + operands; }
};
PieceMemory piece_memory(const Job& job, const RankShape& shape, const ModelPiece& piece,
                         double imbalance);

// Of all micro-batches that are in flight in all pieces of a stage: each has an arena of its own.
struct InFlight {
  int most = 0;  // micro-batches times pieces
  double bytes = 0;
};
InFlight in_flight(const Job& job, const RankShape& shape, int stage, double imbalance);

// What a rank of a stage holds.
struct StageMemory {
  ModelState state;
  int in_flight = 0;  // micro-batches times pieces, at the most
  double activations =
      0;  // of all that are in flight; pp boundaries and counters of the router too
  double communicators = 0;
  double reserved = 0;  // Hardware::reserved

  double total() const { return state.total() + activations + communicators + reserved; }
};
StageMemory stage_memory(const Job& job, const Hardware& hardware, const ModelState& state,
                         int stage, double imbalance);

// Buffers of the communicators that a rank is in (runtime/parallel/mesh.hpp), by the figures of the
// hardware: one ring for each, and what an all-to-all or a pipe holds for each peer.
double communicator_bytes(const Job& job, const Hardware& hardware);

}  // namespace fulgur
