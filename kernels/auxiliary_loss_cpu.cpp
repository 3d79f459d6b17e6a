#include <algorithm>
#include <span>
#include <vector>

#include "kernels/auxiliary_loss_impl.hpp"

namespace fulgur::cpu {
namespace {

// One balanced set: the experts of a layer (kGshard) or of all layers added up (kMixtral).
struct Balance {
  double coef;    // factor of sum_e f_e m_e
  double tokens;  // routed tokens that counts and sums are over
};

void add_loss(const Balance& balance, std::span<const double> counts, std::span<const double> sums,
              double& loss, std::span<float> dprobability) {
  for (std::size_t e = 0; e < counts.size(); ++e) {
    const double share = counts[e] / balance.tokens;
    loss += balance.coef * share * sums[e] / balance.tokens;
    dprobability[e] = static_cast<float>(balance.coef * share / balance.tokens);
  }
}

void run(const AuxiliaryLoss& args) {
  const auto L = static_cast<std::size_t>(args.counts.dims[0]);
  const auto E = static_cast<std::size_t>(args.counts.dims[1]);
  const auto* counts = args.counts.as<std::int32_t>();
  const auto* sums = args.probability_sums.as<double>();
  auto& loss = *args.loss.as<double>();
  const std::span<float> gradient{args.dprobability.as<float>(), L * E};
  const auto tokens = static_cast<double>(args.tokens);
  const auto num_layers = static_cast<double>(L), num_experts = static_cast<double>(E);

  if (args.form == AuxiliaryLossForm::kGshard) {
    const Balance layer{
        args.coef * num_experts / (static_cast<double>(args.experts_per_token) * num_layers),
        tokens};
    for (std::size_t l = 0; l < L; ++l) {
      const std::vector<double> layer_counts(counts + l * E, counts + (l + 1) * E);
      add_loss(layer, layer_counts, {sums + l * E, E}, loss, gradient.subspan(l * E, E));
    }
    return;
  }
  std::vector<double> all_counts(E), all_sums(E);
  for (std::size_t i = 0; i < L * E; ++i) {
    all_counts[i % E] += counts[i];
    all_sums[i % E] += sums[i];
  }
  add_loss({args.coef * num_experts, tokens * num_layers}, all_counts, all_sums, loss,
           gradient.first(E));
  for (std::size_t l = 1; l < L; ++l)
    std::copy_n(gradient.begin(), E, gradient.begin() + static_cast<std::ptrdiff_t>(l * E));
}

}  // namespace

void auxiliary_loss(const AuxiliaryLoss& args, Stream& stream) {
  stream.run([args] { run(args); });
}

}  // namespace fulgur::cpu
