#include "runtime/optim/sharded_adamw.hpp"

#include <algorithm>

#include "kernels/convert.hpp"
#include "kernels/reduce.hpp"

namespace fulgur {
namespace {

std::int64_t round_up(std::int64_t count, std::int64_t unit) {
  return (count + unit - 1) / unit * unit;
}

// The numbers by which gradients_ready() calls the places of a model.
std::int64_t place_of(const Parameter& parameter) {
  if (parameter.layer >= 0) return parameter.layer;
  return parameter.name == "embedding" ? kEmbeddingPlace : kHeadPlace;
}

// Makes `whole` reach over `next`, whose tensors begin where those of `whole` end.
void append(const AdamW& next, AdamW& whole) {
  const auto count = whole.weight.count() + next.weight.count();
  for (auto* tensor :
       {&whole.weight, &whole.gradient, &whole.exp_avg, &whole.exp_avg_sq, &whole.copy}) {
    if (tensor->data != nullptr) *tensor = Tensor::contiguous(tensor->data, tensor->dtype, {count});
  }
}

}  // namespace

ShardedAdamW::ShardedAdamW(const ParameterSet& parameters, const OptimizerSpec& spec, Mesh& mesh)
    : spec_(spec), mesh_(mesh) {
  if (spec.clip_norm > 0) {
    buffers_.emplace_back(mesh.device(), sizeof(float));
    clip_scale_ = Tensor::contiguous(buffers_.back().data(), DType::kFloat32, {1});
  }
  for (const auto& flat : parameters.flats())
    add_buckets(flat, spec.bucket);
}

AdamW ShardedAdamW::update_of(const OwnedRange& range) const {
  return {.weight = range.weight,
          .gradient = range.gradient,
          .exp_avg = range.exp_avg,
          .exp_avg_sq = range.exp_avg_sq,
          .copy = range.rounded,
          .gradient_scale = clip_scale_,
          .beta1 = spec_.beta1,
          .beta2 = spec_.beta2,
          .eps = spec_.eps,
          .weight_decay = range.parameter->parameter.decays ? spec_.weight_decay : 0.0};
}

void ShardedAdamW::add_buckets(const FlatParameters& flat, std::int64_t largest) {
  const auto size = round_up(largest, flat.replicas->size());
  for (std::int64_t begin = 0; begin < flat.count; begin += size)
    add_bucket(flat, begin, std::min(size, flat.count - begin));
}

void ShardedAdamW::add_bucket(const FlatParameters& flat, std::int64_t begin, std::int64_t count) {
  const auto& ranks = *flat.replicas;
  const auto share = count / ranks.size(), first = begin + share * ranks.rank();
  const auto allocate = [&] {
    buffers_.emplace_back(mesh_.device(), static_cast<std::size_t>(share) * sizeof(float));
    return Tensor::contiguous(buffers_.back().data(), DType::kFloat32, {share});
  };
  Bucket bucket{.flat = &flat,
                .begin = begin,
                .count = count,
                .gradient = ranks.size() == 1 ? flat.gradient.slice(0, first, share) : allocate(),
                .shown = flat.weight.slice(0, first, share)};
  const bool is_exact = bucket.shown.dtype == DType::kFloat32;
  bucket.weight = is_exact ? bucket.shown : allocate();
  const auto exp_avg = allocate(), exp_avg_sq = allocate();
  const auto first_update = updates_.size();
  for (const auto& local : flat.parameters) {
    const auto end = local.offset + local.count();
    if (local.offset < begin + count && begin < end)
      bucket.places.insert(place_of(local.parameter));
    const auto from = std::max(local.offset, first), to = std::min(end, first + share);
    if (from >= to) continue;
    const auto part = [&](const Tensor& of) { return of.slice(0, from - first, to - from); };
    owned_.push_back({.parameter = &local,
                      .begin = from - local.offset,
                      .end = to - local.offset,
                      .weight = part(bucket.weight),
                      .exp_avg = part(exp_avg),
                      .exp_avg_sq = part(exp_avg_sq),
                      .gradient = part(bucket.gradient),
                      .rounded = is_exact ? Tensor{} : part(bucket.shown)});
    const auto update = update_of(owned_.back());
    const bool goes_on =
        updates_.size() > first_update && updates_.back().weight_decay == update.weight_decay;
    goes_on ? append(update, updates_.back()) : updates_.push_back(update);
  }
  buckets_.push_back(std::move(bucket));
}

void ShardedAdamW::begin_step(Stream& compute) {
  for (auto& bucket : buckets_) {
    bucket.missing = bucket.places;
    fill_zero(bucket.flat->gradient.slice(0, bucket.begin, bucket.count), compute);
  }
}

void ShardedAdamW::gradients_ready(std::int64_t place, Stream& compute) {
  for (auto& bucket : buckets_) {
    if (bucket.missing.erase(place) == 1 && bucket.missing.empty()) reduce(bucket, compute);
  }
}

void ShardedAdamW::reduce(Bucket& bucket, Stream& compute) {
  if (bucket.flat->replicas->size() == 1) return;
  auto& stream = mesh_.replica_stream();
  stream.wait(compute.record());
  bucket.flat->replicas->reduce_scatter(bucket.flat->gradient.slice(0, bucket.begin, bucket.count),
                                        bucket.gradient, stream, "gradients");
  bucket.reduced = stream.record();
}

void ShardedAdamW::add_squares(const Tensor& sum, Stream& compute) {
  for (const auto& bucket : buckets_)
    compute.wait(bucket.reduced);
  for (const auto& bucket : buckets_)
    sum_of_squares({.x = bucket.gradient, .out = sum}, compute);
}

void ShardedAdamW::step(std::int64_t step, double learning_rate, const Tensor& squares,
                        Stream& compute) {
  if (clip_scale_.data != nullptr)
    clip_scale({.squares = squares, .scale = clip_scale_, .most = spec_.clip_norm}, compute);
  for (auto& update : updates_) {
    update.learning_rate = learning_rate;
    update.step = step;
    adamw(update, compute);
  }
  share_weights(compute);
}

void ShardedAdamW::gather_weights(Stream& compute) {
  for (const auto& range : owned_) {
    if (range.rounded.data != nullptr) convert({.x = range.weight, .y = range.rounded}, compute);
  }
  share_weights(compute);
}

void ShardedAdamW::share_weights(Stream& compute) {
  auto& stream = mesh_.replica_stream();
  stream.wait(compute.record());
  for (auto& bucket : buckets_) {
    if (bucket.flat->replicas->size() == 1) continue;
    bucket.flat->replicas->all_gather(
        bucket.shown, bucket.flat->weight.slice(0, bucket.begin, bucket.count), stream, "weights");
    bucket.gathered = stream.record();
  }
}

void ShardedAdamW::wait_for_weights(std::int64_t place, Stream& compute) {
  for (const auto& bucket : buckets_) {
    if (bucket.places.contains(place)) compute.wait(bucket.gathered);
  }
}

}  // namespace fulgur
