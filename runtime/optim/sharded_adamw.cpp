#include "runtime/optim/sharded_adamw.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/adamw.hpp"
#include "kernels/reduce.hpp"

namespace fulgur {

ShardedAdamW::ShardedAdamW(const ParameterSet& parameters, const OptimizerSpec& spec,
                           Communicator& ranks, Device device)
    : spec_(spec), ranks_(ranks) {
  for (const auto& flat : parameters.flats())
    add_share(flat, device);
  buffers_.emplace_back(device, sizeof(double));
  norm_squared_ = Tensor::contiguous(buffers_.back().data(), DType::kFloat64, {1});
}

void ShardedAdamW::add_share(const FlatParameters& flat, Device device) {
  const auto count = flat.count / ranks_.size(), first = count * ranks_.rank();
  const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
  const auto allocate = [&] {
    buffers_.emplace_back(device, bytes);
    return Tensor::contiguous(buffers_.back().data(), DType::kFloat32, {count});
  };
  const Share share{.flat = &flat,
                    .count = count,
                    .weight = flat.weight.slice(0, first, count),
                    .gradient = allocate(),
                    .exp_avg = allocate(),
                    .exp_avg_sq = allocate()};
  for (const auto& local : flat.parameters) {
    const auto begin = std::max(local.offset, first);
    const auto end = std::min(local.offset + local.parameter.count(), first + count);
    if (begin >= end) continue;
    const auto part = [&](const Tensor& of) { return of.slice(0, begin - first, end - begin); };
    owned_.push_back({.parameter = &local.parameter,
                      .begin = begin - local.offset,
                      .end = end - local.offset,
                      .weight = part(share.weight),
                      .exp_avg = part(share.exp_avg),
                      .exp_avg_sq = part(share.exp_avg_sq)});
    owned_gradients_.push_back(part(share.gradient));
  }
  shares_.push_back(share);
}

double ShardedAdamW::step(std::int64_t step, double learning_rate, Stream& stream) {
  for (const auto& share : shares_)
    ranks_.reduce_scatter(share.flat->gradient, share.gradient, stream, "gradients");
  const double norm = global_norm(stream);
  const double clip = spec_.clip_norm > 0 ? std::min(1.0, spec_.clip_norm / (norm + 1e-6)) : 1.0;
  for (std::size_t i = 0; i < owned_.size(); ++i) {
    const auto& range = owned_[i];
    adamw({.weight = range.weight,
           .gradient = owned_gradients_[i],
           .exp_avg = range.exp_avg,
           .exp_avg_sq = range.exp_avg_sq,
           .learning_rate = learning_rate,
           .beta1 = spec_.beta1,
           .beta2 = spec_.beta2,
           .eps = spec_.eps,
           .weight_decay = range.parameter->decays ? spec_.weight_decay : 0.0,
           .gradient_scale = clip,
           .step = step},
          stream);
  }
  gather_weights(stream);
  return norm;
}

double ShardedAdamW::global_norm(Stream& stream) {
  fill_zero(norm_squared_, stream);
  for (const auto& share : shares_)
    sum_of_squares({.x = share.gradient, .out = norm_squared_}, stream);
  ranks_.all_reduce(norm_squared_, norm_squared_, ReduceOp::kSum, stream, "gradient norm");
  stream.synchronize();
  return std::sqrt(*norm_squared_.as<double>());
}

void ShardedAdamW::gather_weights(Stream& stream) {
  for (const auto& share : shares_)
    ranks_.all_gather(share.weight, share.flat->weight, stream, "weights");
}

}  // namespace fulgur
