#include "runtime/checkpoint/hf_tensors.hpp"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string_view>

#include "recipes/lightning_decay.hpp"

namespace fulgur {
namespace {

using Shape = std::vector<std::int64_t>;

std::string layer_prefix(std::int64_t layer) {
  return fmt::format("model.layers.{}.", layer);
}

// The name of a parameter behind "layers.3.".
std::string_view name_in_layer(const Parameter& parameter) {
  const std::string_view name = parameter.name;
  return parameter.layer < 0 ? name : name.substr(name.find('.', name.find('.') + 1) + 1);
}

// The experts of a layer one by one: w1 and w3, or w2.
std::vector<HfTensor> expert_tensors(const Parameter& parameter, const std::string& prefix,
                                     std::initializer_list<const char*> matrices) {
  const auto experts = parameter.shape[0];
  const Shape shape(parameter.shape.end() - 2, parameter.shape.end());
  const auto step = shape[0] * shape[1];
  std::vector<HfTensor> tensors;
  for (std::int64_t expert = 0; expert < experts; ++expert) {
    for (const auto* matrix : matrices) {
      tensors.push_back(
          {.name = fmt::format("{}block_sparse_moe.experts.{}.{}.weight", prefix, expert, matrix),
           .shape = shape,
           .begin = static_cast<std::int64_t>(tensors.size()) * step});
    }
  }
  return tensors;
}

struct SimpleName {
  std::string_view ours, theirs;
};
constexpr SimpleName kSimpleNames[] = {
    {"norm1", "input_layernorm.weight"},
    {"norm2", "post_attention_layernorm.weight"},
    {"attention.gate", "self_attn.output_gate.weight"},
    {"attention.norm", "self_attn.norm.weight"},
    {"attention.q", "self_attn.q_proj.weight"},
    {"attention.k", "self_attn.k_proj.weight"},
    {"attention.v", "self_attn.v_proj.weight"},
    {"embedding", "model.embed_tokens.weight"},
    {"final_norm", "model.norm.weight"},
    {"head", "lm_head.weight"},
};

std::string simple_name(std::string_view name) {
  for (const auto& simple : kSimpleNames) {
    if (simple.ours == name) return std::string(simple.theirs);
  }
  throw std::logic_error(fmt::format("transformers has no name for `{}`", name));
}

std::vector<HfTensor> whole(std::string name, Shape shape) {
  return {{.name = std::move(name), .shape = std::move(shape), .begin = 0}};
}

}  // namespace

std::int64_t HfTensor::count() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

std::vector<HfTensor> hf_tensors(const ModelSpec& model, const Parameter& parameter,
                                 HfNaming naming) {
  const auto name = name_in_layer(parameter);
  const auto& shape = parameter.shape;
  if (parameter.layer < 0) return whole(simple_name(name), shape);
  const auto prefix = layer_prefix(parameter.layer);
  const bool files = naming == HfNaming::kFiles;
  if (name == "attention.qkv")
    return whole(prefix + "self_attn.qkv_proj.weight", {shape[0] * shape[1] * shape[2], shape[3]});
  if (name == "attention.out") {
    const bool lightning = attention_kind(model, parameter.layer) == AttentionKind::kLightning;
    return whole(prefix + (lightning ? "self_attn.out_proj.weight" : "self_attn.o_proj.weight"),
                 shape);
  }
  if (name == "router")
    return whole(prefix + (files ? "block_sparse_moe.gate.weight" : "mlp.gate.weight"), shape);
  if (name == "experts.w13") {
    if (files) return expert_tensors(parameter, prefix, {"w1", "w3"});
    return whole(prefix + "mlp.experts.gate_up_proj", {shape[0], shape[1] * shape[2], shape[3]});
  }
  if (name == "experts.w2") {
    if (files) return expert_tensors(parameter, prefix, {"w2"});
    return whole(prefix + "mlp.experts.down_proj", shape);
  }
  return whole(prefix + simple_name(name), shape);
}

std::vector<HfBuffer> hf_buffers(const ModelSpec& model, std::int64_t layer, std::int64_t block) {
  const auto H = model.heads;
  const auto name = [&](const char* buffer) { return layer_prefix(layer) + "self_attn." + buffer; };
  HfBuffer slopes{name("slope_rate"), {H, 1, 1}, {}};
  HfBuffer query{name("query_decay"), {H, block, 1}, {}};
  HfBuffer key{name("key_decay"), {H, block, 1}, {}};
  HfBuffer diagonal{name("diagonal_decay"), {1, H, block, block}, {}};
  for (std::int64_t h = 0; h < H; ++h) {
    const auto slope = static_cast<float>(lightning_decay_rate(model, layer, h));
    const auto decay = [&](std::int64_t tokens) {
      return std::exp(-slope * static_cast<float>(tokens));
    };
    slopes.values.push_back(slope);
    for (std::int64_t i = 0; i < block; ++i) {
      query.values.push_back(decay(i + 1));
      key.values.push_back(decay(block - i - 1));
      for (std::int64_t j = 0; j < block; ++j)
        diagonal.values.push_back(i >= j ? decay(i - j) : 0.0F);
    }
  }
  return {std::move(slopes), std::move(query), std::move(key), std::move(diagonal)};
}

bool is_hf_buffer(const std::string& name) {
  for (const char* buffer :
       {".slope_rate", ".query_decay", ".key_decay", ".diagonal_decay", ".rotary_emb.inv_freq"}) {
    if (name.ends_with(buffer)) return true;
  }
  return false;
}

}  // namespace fulgur
