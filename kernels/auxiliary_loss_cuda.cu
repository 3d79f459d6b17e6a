#include <cuda_runtime.h>

#include "kernels/auxiliary_loss_impl.hpp"
#include "kernels/cuda_launch.cuh"

namespace fulgur::cuda {
namespace {

// `sets` balanced sets of E experts: the layers one by one (kGshard), or all of them added up (kMixtral),
// when a set has the counts of `layers` layers.
struct Balance {
  const std::int32_t* counts;
  const double* sums;
  double* loss;
  float* dprobability;
  std::int64_t sets, layers, E;
  double coef, tokens;
};

__global__ void balance_kernel(Balance args) {
  double loss = 0;
  for (std::int64_t i = threadIdx.x; i < args.sets * args.E; i += blockDim.x) {
    double count = 0, sum = 0;
    for (std::int64_t l = 0; l < args.layers; ++l) {
      count += args.counts[l * args.E + i];
      sum += args.sums[l * args.E + i];
    }
    const double share = count / args.tokens;
    loss += args.coef * share * sum / args.tokens;
    for (std::int64_t l = 0; l < args.layers; ++l)
      args.dprobability[l * args.E + i] = static_cast<float>(args.coef * share / args.tokens);
  }
  loss = block_sum(loss);
  if (threadIdx.x == 0) *args.loss += loss;
}

}  // namespace

void auxiliary_loss(const AuxiliaryLoss& args, Stream& stream) {
  const auto L = args.counts.dims[0], E = args.counts.dims[1];
  const auto tokens = static_cast<double>(args.tokens), num_layers = static_cast<double>(L);
  const double coef = args.coef * static_cast<double>(E);
  const bool by_layer = args.form == AuxiliaryLossForm::kGshard;
  const Balance balance{
      .counts = args.counts.as<std::int32_t>(),
      .sums = args.probability_sums.as<double>(),
      .loss = args.loss.as<double>(),
      .dprobability = args.dprobability.as<float>(),
      .sets = by_layer ? L : 1,
      .layers = by_layer ? 1 : L,
      .E = E,
      .coef = by_layer ? coef / (static_cast<double>(args.experts_per_token) * num_layers) : coef,
      .tokens = by_layer ? tokens : tokens * num_layers};
  balance_kernel<<<1, kThreads, 0, native(stream)>>>(balance);
  check_launch("auxiliary_loss");
}

}  // namespace fulgur::cuda
