#include "recipes/pipeline_layers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fulgur {
namespace {

// Layers [begin, end) of a model, with the tail behind the last one.
class Costs {
 public:
  Costs(std::span<const double> costs, double tail) : tail_(tail), sums_(costs.size() + 1) {
    for (std::size_t i = 0; i < costs.size(); ++i)
      sums_[i + 1] = sums_[i] + costs[i];
  }

  std::size_t layers() const { return sums_.size() - 1; }
  double between(std::size_t begin, std::size_t end) const {
    return sums_[end] - sums_[begin] + (end == layers() ? tail_ : 0);
  }

  // [layers + 1] the fewest runs of at most `most` that the layers from i on can be cut into, the last of
  // them not empty; layers + 1 where there are none.
  std::vector<std::size_t> fewest_runs(double most) const {
    const std::size_t impossible = layers() + 1;
    std::vector<std::size_t> fewest(impossible, impossible);
    fewest[layers()] = 0;
    std::size_t end = layers();  // of the longest run from `begin` on
    for (std::size_t begin = layers(); begin-- > 0;) {
      if (between(begin, layers()) <= most) {
        fewest[begin] = 1;
        continue;
      }
      while (end > begin && between(begin, end) > most)
        --end;
      if (end > begin) fewest[begin] = std::min(impossible, 1 + fewest[end]);
    }
    return fewest;
  }

 private:
  double tail_;
  std::vector<double> sums_;  // [layers + 1] of the layers before
};

// The least bound under which the layers can be cut into `pieces` runs: by bisection down to two
// neighbouring doubles, so it is exact.
double least_bound(const Costs& costs, std::size_t pieces) {
  double fits = costs.between(0, costs.layers()), fails = -1;
  while (true) {
    const double middle = fails + (fits - fails) / 2;
    if (middle <= fails || middle >= fits) return fits;
    (costs.fewest_runs(middle)[0] <= pieces ? fits : fails) = middle;
  }
}

}  // namespace

double layer_flops(const ModelSpec& model, std::int64_t sequence_length, std::int64_t layer) {
  const auto C = static_cast<double>(model.hidden), H = static_cast<double>(model.heads),
             G = static_cast<double>(model.kv_heads), d = static_cast<double>(model.head_dim),
             E = static_cast<double>(model.experts), F = static_cast<double>(model.expert_hidden),
             k = static_cast<double>(model.experts_per_token),
             N = static_cast<double>(sequence_length);
  const double mixture = 2 * C * E + 6 * k * C * F;
  if (attention_kind(model, layer) == AttentionKind::kSoftmax)
    return mixture + 2 * C * (2 * H * d + 2 * G * d) + 4 * H * d * (N + 1) / 2;
  return mixture + 2 * C * 5 * H * d + 4 * H * d * (d + kLightningBlock / 2);
}

double head_flops(const ModelSpec& model) {
  return 2 * static_cast<double>(model.hidden) * static_cast<double>(model.vocabulary);
}

std::vector<std::int64_t> layers_per_piece(const Job& job) {
  if (!job.pipeline.layers.empty()) return job.pipeline.layers;
  std::vector<double> costs;
  for (std::int64_t layer = 0; layer < job.model.layers; ++layer)
    costs.push_back(layer_flops(job.model, job.train.sequence_length, layer));
  return balanced_cuts(costs, head_flops(job.model), job.layout.pp * job.pipeline.virtual_stages);
}

std::vector<std::int64_t> balanced_cuts(std::span<const double> costs, double tail,
                                        std::int64_t pieces) {
  if (pieces < 1 || pieces > static_cast<std::int64_t>(costs.size())) {
    throw std::invalid_argument(fmt::format(
        "{} layers cannot be cut into {} pieces of at least one", costs.size(), pieces));
  }
  const Costs run(costs, tail);
  auto left = static_cast<std::size_t>(pieces);
  const double bound = least_bound(run, left);
  const auto fewest = run.fewest_runs(bound);
  std::vector<std::int64_t> cuts;
  for (std::size_t begin = 0; left > 0; --left) {
    const double share = run.between(begin, run.layers()) / static_cast<double>(left);
    std::size_t best = run.layers();
    double best_distance = INFINITY;
    for (std::size_t end = begin + 1; end + (left - 1) <= run.layers(); ++end) {
      if (run.between(begin, end) > bound) break;
      const bool rest_fits = left == 1 ? end == run.layers() : fewest[end] <= left - 1;
      const double distance = std::abs(run.between(begin, end) - share);
      if (!rest_fits || distance >= best_distance) continue;
      best = end;
      best_distance = distance;
    }
    cuts.push_back(static_cast<std::int64_t>(best - begin));
    begin = best;
  }
  return cuts;
}

bool ModelPiece::holds(const Parameter& parameter) const {
  if (parameter.layer >= 0) return first <= parameter.layer && parameter.layer < last;
  return parameter.name == "embedding" ? has_embedding : has_head;
}

std::vector<ModelPiece> pieces_of_stage(std::span<const std::int64_t> layers_per_piece, int pp,
                                        int stage) {
  std::vector<ModelPiece> pieces;
  std::int64_t layer = 0;
  for (std::size_t i = 0; i < layers_per_piece.size(); ++i) {
    const ModelPiece piece{.first = layer,
                           .last = layer + layers_per_piece[i],
                           .has_embedding = i == 0,
                           .has_head = i + 1 == layers_per_piece.size()};
    if (static_cast<int>(i) % pp == stage) pieces.push_back(piece);
    layer = piece.last;
  }
  return pieces;
}

}  // namespace fulgur
