#include "recipes/cost/layer_time.hpp"

namespace fulgur {
namespace {

// Norms, residuals and scalings between the blocks: `tensors` activations are read or written in
// `kernels` operations.
void time_rows(PassClock& clock, const RankShape& s, int tensors, int kernels) {
  const double bytes = static_cast<double>(s.rows * s.hidden) * s.activation_bytes;
  for (int i = 0; i < kernels; ++i)
    clock.compute(Part::kMemory, clock.rates().memory(bytes * tensors / kernels));
}

}  // namespace

void time_layer_forward(PassClock& clock, const RankShape& s, AttentionKind kind,
                        double imbalance) {
  time_rows(clock, s, 7, 3);
  time_attention_forward(clock, s, kind);
  time_experts_forward(clock, s, imbalance);
  time_rows(clock, s, 3, 1);
}

void time_layer_backward(PassClock& clock, const RankShape& s, AttentionKind kind, double imbalance,
                         Gradients gradients) {
  if (s.recompute == Recompute::kFull) time_layer_forward(clock, s, kind, imbalance);
  time_rows(clock, s, 2, 1);
  time_experts_backward(clock, s, imbalance, gradients);
  time_rows(clock, s, 8, 3);
  time_attention_backward(clock, s, kind, gradients);
  time_rows(clock, s, 6, 2);
}

void time_layer_weights(PassClock& clock, const RankShape& s, AttentionKind kind,
                        double imbalance) {
  time_attention_weights(clock, s, kind);
  time_experts_weights(clock, s, imbalance);
}

}  // namespace fulgur
