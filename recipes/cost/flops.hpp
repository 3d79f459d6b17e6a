#pragma once

#include "recipes/job.hpp"

namespace fulgur {

// FLOPs of training per token, forward and backward (three times the forward pass), as they are counted
// for the model FLOPs utilisation: what the model needs, whatever is calculated twice.
//
//   weights     6 per active parameter of a matrix, without embedding and head
//   head        6 C V
//   softmax     3 x 4 H d (N + 1) / 2 per softmax layer: causal, one document a sequence
//   lightning   3 x 4 H d (d + b / 2) per lightning layer, b = 256 (recipes/pipeline_layers.hpp)
struct TrainingFlops {
  double weights = 0, head = 0, softmax = 0, lightning = 0;

  double total() const { return weights + head + softmax + lightning; }
};
TrainingFlops training_flops(const ModelSpec& model, std::int64_t sequence_length);

}  // namespace fulgur
