#pragma once

#include <span>

#include "kernels/lightning_attention.hpp"
#include "runtime/data/sampler.hpp"
#include "kernels/context.hpp"

namespace fulgur {

// The tokens of one micro-batch on one rank: T tokens, sequences and their documents end to end.
struct Batch {
  std::int64_t tokens = 0;     // T
  Tensor ids;                  // [T] int32
  Tensor labels;               // [T] int32, kIgnoredLabel where none
  Tensor positions;            // [T] int32, restart at every document
  LightningSegments segments;  // one per document, no states in or out
  Tensor spans;                // [documents, 5] int32, softmax attention's spans
};

// Lays the samples end to end and queues their upload. The tensors live in ctx.arena.
Batch make_batch(const Context& ctx, std::span<const Sample> samples);

}  // namespace fulgur
