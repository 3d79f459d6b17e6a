#include "recipes/parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace fulgur {
namespace {

constexpr double kEmbeddingStd = 0.02;

// Xavier-normal (Glorot and Bengio, 2010) for a matrix [fan_out, fan_in].
double xavier(std::int64_t fan_out, std::int64_t fan_in, double gain = 1) {
  return gain * std::sqrt(2.0 / static_cast<double>(fan_out + fan_in));
}

struct Cut {
  int tp_dim = -1;
  std::int64_t tp_parts = 1;
  int ep_dim = -1;
  int etp_dim = -1;
};

// Appends parameters, so that each stands on one line with its shape, initial distribution and cut.
class Table {
 public:
  Table(const ModelSpec& model, WeightDecayOn decay_on)
      : m_(model),
        decay_on_(decay_on),
        deep_gain_(std::pow(8.0 * static_cast<double>(model.layers), -0.25)) {}

  std::vector<Parameter> build() && {
    const Cut by_id{.tp_dim = 0, .tp_parts = m_.vocabulary};
    add("embedding", {m_.vocabulary, m_.hidden}, kEmbeddingStd, by_id);
    for (layer_ = 0; layer_ < m_.layers; ++layer_) {
      prefix_ = fmt::format("layers.{}.", layer_);
      add("norm1", {m_.hidden}, 0, {});
      if (attention_kind(m_, layer_) == AttentionKind::kLightning) {
        add_lightning();
      } else {
        add_softmax();
      }
      add("norm2", {m_.hidden}, 0, {});
      add_experts();
    }
    prefix_.clear();
    layer_ = -1;
    add("final_norm", {m_.hidden}, 0, {});
    add("head", {m_.vocabulary, m_.hidden}, xavier(m_.vocabulary, m_.hidden), by_id);
    return std::move(table_);
  }

 private:
  void add_lightning() {
    const auto width = m_.heads * m_.head_dim;
    const Cut by_head{.tp_dim = 0, .tp_parts = m_.heads};
    auto& qkv = add("attention.qkv", {m_.heads, 3, m_.head_dim, m_.hidden}, 0, by_head);
    qkv.init = qkv_init();
    add("attention.gate", {width, m_.hidden}, xavier(width, m_.hidden), by_head);
    add("attention.norm", {width}, 0, by_head);
    add("attention.out", {m_.hidden, width}, xavier(m_.hidden, width, deep_gain_),
        {.tp_dim = 1, .tp_parts = m_.heads});
  }

  // Head after head q, k, v: rows of three matrices [H d, C], of which v has the DeepNorm gain.
  std::vector<InitPart> qkv_init() const {
    const auto part = m_.head_dim * m_.hidden;
    const auto plain = xavier(m_.heads * m_.head_dim, m_.hidden);
    std::vector<InitPart> init;
    for (std::int64_t head = 0; head < m_.heads; ++head) {
      const auto begin = head * 3 * part;
      init.push_back({begin, begin + 2 * part, plain});
      init.push_back({begin + 2 * part, begin + 3 * part, deep_gain_ * plain});
    }
    return init;
  }

  void add_softmax() {
    const auto width = m_.heads * m_.head_dim, kv_width = m_.kv_heads * m_.head_dim;
    const auto C = m_.hidden;
    const Cut by_kv_head{.tp_dim = 0, .tp_parts = m_.kv_heads};
    add("attention.q", {width, C}, xavier(width, C), {.tp_dim = 0, .tp_parts = m_.heads});
    add("attention.k", {kv_width, C}, xavier(kv_width, C), by_kv_head);
    add("attention.v", {kv_width, C}, xavier(kv_width, C, deep_gain_), by_kv_head);
    add("attention.out", {C, width}, xavier(C, width, deep_gain_),
        {.tp_dim = 1, .tp_parts = m_.heads});
  }

  void add_experts() {
    const auto E = m_.experts, F = m_.expert_hidden, C = m_.hidden;
    const auto std = xavier(F, C, deep_gain_);  // the same fans for w1, w3 [F, C] and w2 [C, F]
    add("router", {E, C}, xavier(E, C), {});
    add("experts.w13", {E, 2, F, C}, std, {.ep_dim = 0, .etp_dim = 2});
    add("experts.w2", {E, C, F}, std, {.ep_dim = 0, .etp_dim = 2});
  }

  Parameter& add(const char* name, std::vector<std::int64_t> shape, double std, const Cut& cut) {
    Parameter p;
    p.name = prefix_ + name;
    p.decays = decay_on_ == WeightDecayOn::kAll || shape.size() > 1;
    p.shape = std::move(shape);
    p.kind = cut.ep_dim >= 0 ? ParameterKind::kExpert : ParameterKind::kDense;
    p.layer = layer_;
    p.tp_dim = cut.tp_dim;
    p.tp_parts = cut.tp_parts;
    p.ep_dim = cut.ep_dim;
    p.etp_dim = cut.etp_dim;
    p.init = {{0, p.count(), std}};
    return table_.emplace_back(std::move(p));
  }

  const ModelSpec& m_;
  WeightDecayOn decay_on_;
  double deep_gain_;  // DeepNorm (arXiv 2203.00555), decoder only: (8 L)^(-1/4)
  std::int64_t layer_ = -1;
  std::string prefix_;
  std::vector<Parameter> table_;
};

}  // namespace

std::int64_t Parameter::count() const {
  std::int64_t product = 1;
  for (const auto size : shape)
    product *= size;
  return product;
}

int tp_copies(const Parameter& parameter, int tp) {
  if (parameter.tp_dim < 0) return tp;
  return static_cast<int>(tp / std::min<std::int64_t>(tp, parameter.tp_parts));
}

bool stays_exact(const Parameter& parameter) {
  return parameter.shape.size() == 1 || parameter.name.ends_with(".router");
}

ParameterPart part_of(const Parameter& parameter, const Layout& layout, Rank rank) {
  ParameterPart part{.start = std::vector<std::int64_t>(parameter.shape.size()),
                     .count = parameter.shape};
  const auto cut = [&part](int dim, int parts, int index) {
    if (dim < 0) return;
    const auto d = static_cast<std::size_t>(dim);
    part.count[d] /= parts;
    part.start[d] = part.count[d] * index;
  };
  const auto dense = dense_coordinate(rank, layout);
  const auto expert = expert_coordinate(rank, layout);
  const int copies = tp_copies(parameter, layout.tp);
  cut(parameter.tp_dim, layout.tp / copies, dense.tp / copies);
  cut(parameter.ep_dim, layout.ep, expert.ep);
  cut(parameter.etp_dim, layout.etp, expert.etp);
  return part;
}

AttentionKind attention_kind(const ModelSpec& model, std::int64_t layer) {
  const auto& listed = model.softmax_layers;
  const bool softmax = listed.empty()
                           ? (layer + 1) % model.softmax_every == 0
                           : std::find(listed.begin(), listed.end(), layer) != listed.end();
  return softmax ? AttentionKind::kSoftmax : AttentionKind::kLightning;
}

std::vector<Parameter> parameters(const ModelSpec& model, WeightDecayOn decay_on) {
  return Table(model, decay_on).build();
}

std::int64_t total_parameters(const ModelSpec& model) {
  std::int64_t total = 0;
  for (const auto& parameter : parameters(model, WeightDecayOn::kMatrices))
    total += parameter.count();
  return total;
}

std::int64_t active_parameters(const ModelSpec& model) {
  std::int64_t active = 0;
  for (const auto& parameter : parameters(model, WeightDecayOn::kMatrices)) {
    if (parameter.name == "embedding" || parameter.name == "head") continue;
    const bool expert = parameter.kind == ParameterKind::kExpert;
    const auto count = parameter.count();
    active += expert ? count / model.experts * model.experts_per_token : count;
  }
  return active;
}

}  // namespace fulgur
