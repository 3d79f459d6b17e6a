#include "recipes/cost/flops.hpp"

#include "recipes/pipeline_layers.hpp"

namespace fulgur {

TrainingFlops training_flops(const ModelSpec& model, std::int64_t sequence_length) {
  TrainingFlops flops{.head = 3 * head_flops(model)};
  const auto width = static_cast<double>(model.heads * model.head_dim);
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    const double all = 3 * layer_flops(model, sequence_length, layer);
    double core = 0;
    if (attention_kind(model, layer) == AttentionKind::kSoftmax) {
      core = 3 * 4 * width * static_cast<double>(sequence_length + 1) / 2;
      flops.softmax += core;
    } else {
      core = 3 * 4 * width * (static_cast<double>(model.head_dim) + kLightningBlock / 2);
      flops.lightning += core;
    }
    flops.weights += all - core;
  }
  return flops;
}

}  // namespace fulgur
