#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// kGshard:  per layer coef (E/k) sum_e f_e m_e, mean over the layers;
// kMixtral: coef E sum_e f_e m_e, f and m over the tokens of all layers together.
enum class AuxiliaryLossForm : bool { kGshard, kMixtral };

// The load-balancing loss of one global micro-batch and its gradient (docs/math.md 1.3):
//   f_e = counts_e / tokens (so the f of a layer sum to k), m_e = probability_sums_e / tokens
//   counts [L, E] int32   probability_sums [L, E] float64, both summed over the whole micro-batch
//   loss [1] float64: added to   dprobability [L, E] float32: the gradient with respect to p_e of any
//   token; overwritten
// Gradients flow through m only. `coef` includes the share of the micro-batch in the step.
struct AuxiliaryLoss {
  Tensor counts, probability_sums, loss, dprobability;
  AuxiliaryLossForm form = AuxiliaryLossForm::kGshard;
  double coef = 0;
  std::int64_t tokens = 1;
  std::int64_t experts_per_token = 1;
};
void auxiliary_loss(const AuxiliaryLoss& args, Stream& stream);

}  // namespace fulgur
