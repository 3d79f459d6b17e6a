#include "runtime/checkpoint/hf_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "recipes/rules/rules.hpp"
#include "runtime/checkpoint/json_fields.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Keys = std::initializer_list<const char*>;

constexpr std::int64_t kMaxConfig = std::int64_t{1} << 24;  // bytes
constexpr double kLightningNormEps = 1e-6;                  // transformers knows no other
constexpr double kRopeTheta = 1e6;                          // transformers' default
constexpr double kAuxLossCoef = 0.001;

// Puts quotes around all numbers that are no integers: the JSON reader can be off by a unit in the last
// place, so they are read from their text.
std::string quote_reals(std::string_view text) {
  constexpr std::string_view kNumber = "+-.0123456789eE";
  std::string quoted;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      auto end = at + 1;
      while (end < text.size() && text[end] != '"')
        end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
      quoted += text.substr(at, end - at);
      at = end;
    } else if (text[at] == '-' || (text[at] >= '0' && text[at] <= '9')) {
      const auto end = std::min(text.find_first_not_of(kNumber, at), text.size());
      const auto number = text.substr(at, end - at);
      const bool real = number.find_first_of(".eE") != std::string_view::npos;
      quoted += real ? fmt::format("\"{}\"", number) : std::string(number);
      at = end;
    } else {
      quoted += text[at++];
    }
  }
  return quoted;
}

// The fields of a configuration. Each may go by several names; null counts as missing.
class Fields {
 public:
  Fields(const boost::json::value& value, const fs::path& path) : fields_(value, path) {}

  const boost::json::value* find(Keys keys) const {
    for (const auto* key : keys) {
      const auto* value = fields_.find(key);
      if (value != nullptr && !value->is_null()) return value;
    }
    return nullptr;
  }

  std::optional<std::int64_t> integer(Keys keys) const {
    const auto* value = find(keys);
    if (value == nullptr) return std::nullopt;
    if (!is_integer(*value)) fields_.refuse(*keys.begin(), "an integer");
    return value->to_number<std::int64_t>();
  }

  std::int64_t required(Keys keys) const {
    const auto value = integer(keys);
    if (!value) fields_.refuse(*keys.begin(), "an integer");
    return *value;
  }

  std::optional<double> number(Keys keys) const {
    const auto* value = find(keys);
    if (value == nullptr) return std::nullopt;
    if (is_integer(*value)) return static_cast<double>(value->to_number<std::int64_t>());
    if (!value->is_string()) fields_.refuse(*keys.begin(), "a number");
    const auto& text = value->get_string();
    double parsed = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(parsed))
      fields_.refuse(*keys.begin(), "a number");
    return parsed;
  }

  bool flag(const char* key, bool missing) const {
    const auto* value = find({key});
    if (value == nullptr) return missing;
    if (!value->is_bool()) fields_.refuse(key, "true or false");
    return value->get_bool();
  }

  // Refuses a field that has a value other than this one.
  void expect(const char* key, bool fits, std::string_view expected) const {
    if (find({key}) != nullptr && !fits) fields_.refuse(key, expected);
  }

  const JsonFields& json() const noexcept { return fields_; }

 private:
  JsonFields fields_;
};

std::string text_or(const Fields& fields, const char* key, const char* missing) {
  return fields.find({key}) == nullptr ? missing : fields.json().text(key);
}

void check_architecture(const Fields& fields) {
  static const std::set<std::string, std::less<>> kKnown = {
      "MiniMaxForCausalLM", "MiniMaxText01ForCausalLM", "MiniMaxM1ForCausalLM"};
  const auto* architectures = fields.find({"architectures"});
  bool known = text_or(fields, "model_type", "") == "minimax";
  if (architectures != nullptr) {
    for (const auto& name : fields.json().array("architectures"))
      known = known || (name.is_string() && kKnown.contains(std::string(name.get_string())));
  }
  if (!known) fields.json().refuse("model_type", "minimax, or an architecture of MiniMax-01");
}

// Fields with a single value that we can represent.
void check_fixed_fields(const Fields& fields) {
  fields.expect("hidden_act", text_or(fields, "hidden_act", "silu") == "silu", "silu");
  fields.expect("tie_word_embeddings", !fields.flag("tie_word_embeddings", false), "false");
  fields.expect("attention_bias", !fields.flag("attention_bias", false), "false");
  fields.expect("postnorm", fields.flag("postnorm", true), "true");
  fields.expect("sliding_window", false, "null");
  fields.expect("rope_scaling", false, "null");
  fields.expect("quantization_config", false, "null");
  fields.expect("shared_intermediate_size",
                fields.integer({"shared_intermediate_size"}).value_or(0) == 0, "0");
}

// Which layers have softmax attention; without a list transformers alternates, softmax first.
std::vector<bool> softmax_flags(const Fields& fields, std::int64_t layers) {
  std::vector<bool> flags;
  if (fields.find({"layer_types"}) != nullptr) {
    for (const auto& type : fields.json().array("layer_types")) {
      const bool full = type == "full_attention";
      if (!full && type != "linear_attention")
        fields.json().refuse("layer_types", "linear_attention or full_attention everywhere");
      flags.push_back(full);
    }
  } else if (fields.find({"attn_type_list"}) != nullptr) {
    for (const auto& type : fields.json().array("attn_type_list")) {
      if (type != 0 && type != 1) fields.json().refuse("attn_type_list", "0 or 1 everywhere");
      flags.push_back(type == 1);
    }
  } else {
    for (std::int64_t layer = 0; layer < std::min<std::int64_t>(layers, 1 << 20); ++layer)
      flags.push_back(layer % 2 == 0);
  }
  if (static_cast<std::int64_t>(flags.size()) != layers)
    fields.json().refuse(fields.find({"layer_types"}) != nullptr ? "layer_types" : "attn_type_list",
                         fmt::format("one entry for each of {} layers", layers));
  return flags;
}

// As a period where there is one, else as a list.
void set_softmax_layers(ModelSpec& model, const std::vector<bool>& flags) {
  for (std::size_t layer = 0; layer < flags.size(); ++layer) {
    if (flags[layer]) model.softmax_layers.push_back(static_cast<std::int64_t>(layer));
  }
  model.softmax_every =
      model.softmax_layers.empty() ? model.layers + 1 : model.softmax_layers.front() + 1;
  for (std::size_t layer = 0; layer < flags.size(); ++layer) {
    if (flags[layer] != ((static_cast<std::int64_t>(layer) + 1) % model.softmax_every == 0)) {
      model.softmax_every = ModelSpec{}.softmax_every;
      return;
    }
  }
  model.softmax_layers.clear();
}

void read_sizes(const Fields& fields, ModelSpec& model) {
  model.vocabulary = fields.required({"vocab_size"});
  model.layers = fields.required({"num_hidden_layers"});
  model.hidden = fields.required({"hidden_size"});
  model.heads = fields.required({"num_attention_heads"});
  model.kv_heads = fields.integer({"num_key_value_heads"}).value_or(model.heads);
  model.expert_hidden = fields.required({"intermediate_size"});
  model.experts = fields.required({"num_local_experts", "num_experts"});
  model.experts_per_token = fields.integer({"num_experts_per_tok"}).value_or(2);
  if (model.heads < 1) fields.json().refuse("num_attention_heads", "at least 1");
  model.head_dim = fields.integer({"head_dim"}).value_or(model.hidden / model.heads);
}

void read_factors(const Fields& fields, ModelSpec& model) {
  const auto factor = [&](Keys keys) { return fields.number(keys).value_or(1); };
  model.softmax_alpha = factor({"full_attn_alpha_factor", "layernorm_full_attention_alpha"});
  model.softmax_beta = factor({"full_attn_beta_factor", "layernorm_full_attention_beta"});
  model.lightning_alpha = factor({"linear_attn_alpha_factor", "layernorm_linear_attention_alpha"});
  model.lightning_beta = factor({"linear_attn_beta_factor", "layernorm_linear_attention_beta"});
  model.moe_alpha = factor({"mlp_alpha_factor", "layernorm_mlp_alpha"});
  model.moe_beta = factor({"mlp_beta_factor", "layernorm_mlp_beta"});
  model.norm_eps = fields.number({"rms_norm_eps"}).value_or(1e-5);
  model.lightning_norm_eps = kLightningNormEps;
  model.aux_loss = AuxLoss::kMixtral;
  if (fields.flag("output_router_logits", false))
    model.aux_loss_coef = fields.number({"router_aux_loss_coef"}).value_or(kAuxLossCoef);
}

HfRotary read_rotary(const Fields& fields, ModelSpec& model) {
  const boost::json::value none(boost::json::object_kind);
  const auto* parameters = fields.find({"rope_parameters"});
  const Fields rope(parameters != nullptr ? *parameters : none, fields.json().path());
  const auto type = text_or(rope, "rope_type", "default");
  if (type != "default" && type != "proportional")
    rope.json().refuse("rope_type", "default or proportional");
  model.rope_base =
      rope.number({"rope_theta"}).value_or(fields.number({"rope_theta"}).value_or(kRopeTheta));
  const auto part = rope.number({"partial_rotary_factor"});
  const auto factor = part ? part : fields.number({"partial_rotary_factor"});
  const auto d = static_cast<double>(model.head_dim);
  if (factor && !(*factor >= 0 && *factor <= 1))
    fields.json().refuse("partial_rotary_factor", "a number from 0 to 1");
  if (type == "proportional") {
    model.rotary_dim = 2 * static_cast<std::int64_t>(factor.value_or(1) * d / 2);
    if (model.rotary_dim > 0) {
      // Their angles are theta^(-2j / head_dim), ours base^(-2j / rotary_dim).
      const auto base = std::pow(model.rope_base, static_cast<double>(model.rotary_dim) / d);
      model.rope_base = std::stod(fmt::format("{:.12g}", base));
    }
    return HfRotary::kProportional;
  }
  model.rotary_dim =
      fields.integer({"rotary_dim"})
          .value_or(factor ? static_cast<std::int64_t>(*factor * d) : model.head_dim);
  return HfRotary::kPrefix;
}

// Sizes that no model can have, by the same rules as for recipes.
void check_rules(const ModelSpec& model, const fs::path& path) {
  for (const auto& violation : violations(Job{.model = model})) {
    if (std::all_of(violation.fields.begin(), violation.fields.end(),
                    [](const std::string& field) { return field.starts_with("model."); }))
      fail_invalid(path, violation.message);
  }
}

std::string real(double value) {
  auto text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// Their angles are theta^(-2j / head_dim), ours base^(-2j / rotary_dim).
double rope_theta(const HfConfig& config) {
  const auto& m = config.model;
  if (config.rotary == HfRotary::kPrefix || m.rotary_dim == 0) return m.rope_base;
  return std::pow(m.rope_base, static_cast<double>(m.head_dim) / static_cast<double>(m.rotary_dim));
}

std::string rope_text(const HfConfig& config) {
  const auto& m = config.model;
  const auto theta = rope_theta(config);
  if (config.rotary == HfRotary::kPrefix)
    return fmt::format(R"({{"rope_theta": {}, "rope_type": "default"}})", real(theta));
  const auto d = static_cast<double>(m.head_dim), r = static_cast<double>(m.rotary_dim);
  // Between two even numbers of dims, so that rounding down gives rotary_dim.
  return fmt::format(
      R"({{"partial_rotary_factor": {}, "rope_theta": {}, "rope_type": "proportional"}})",
      real((r + 0.5) / d), real(theta));
}

std::string layer_types_text(const ModelSpec& model) {
  std::string text;
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    const bool full = attention_kind(model, layer) == AttentionKind::kSoftmax;
    text += fmt::format("{}\"{}_attention\"", layer == 0 ? "" : ", ", full ? "full" : "linear");
  }
  return "[" + text + "]";
}

}  // namespace

HfConfig read_hf_config(const fs::path& folder) {
  const auto path = folder / "config.json";
  const auto value = parse_json(quote_reals(read_text(path, kMaxConfig)), path);
  const Fields fields(value, path);
  check_architecture(fields);
  check_fixed_fields(fields);
  HfConfig config;
  read_sizes(fields, config.model);
  check_rules(config.model, path);  // so that what follows can calculate with the sizes
  read_factors(fields, config.model);
  config.rotary = read_rotary(fields, config.model);
  set_softmax_layers(config.model, softmax_flags(fields, config.model.layers));
  check_rules(config.model, path);
  return config;
}

std::string hf_config_text(const HfConfig& config, std::int64_t block) {
  const auto& m = config.model;
  const bool aux = m.aux_loss_coef > 0 && m.aux_loss == AuxLoss::kMixtral;
  const std::pair<const char*, std::string> fields[] = {
      {"architectures", R"(["MiniMaxForCausalLM"])"},
      {"attention_dropout", "0.0"},
      {"block_size", fmt::to_string(block)},
      {"bos_token_id", "null"},
      {"dtype", "\"float32\""},
      {"eos_token_id", "null"},
      {"full_attn_alpha_factor", real(m.softmax_alpha)},
      {"full_attn_beta_factor", real(m.softmax_beta)},
      {"head_dim", fmt::to_string(m.head_dim)},
      {"hidden_act", "\"silu\""},
      {"hidden_size", fmt::to_string(m.hidden)},
      {"initializer_range", "0.02"},
      {"intermediate_size", fmt::to_string(m.expert_hidden)},
      {"layer_types", layer_types_text(m)},
      {"linear_attn_alpha_factor", real(m.lightning_alpha)},
      {"linear_attn_beta_factor", real(m.lightning_beta)},
      {"max_position_embeddings", "131072"},
      {"mlp_alpha_factor", real(m.moe_alpha)},
      {"mlp_beta_factor", real(m.moe_beta)},
      {"model_type", "\"minimax\""},
      {"num_attention_heads", fmt::to_string(m.heads)},
      {"num_experts_per_tok", fmt::to_string(m.experts_per_token)},
      {"num_hidden_layers", fmt::to_string(m.layers)},
      {"num_key_value_heads", fmt::to_string(m.kv_heads)},
      {"num_local_experts", fmt::to_string(m.experts)},
      {"output_router_logits", aux ? "true" : "false"},
      {"pad_token_id", "null"},
      {"rms_norm_eps", real(m.norm_eps)},
      {"rope_parameters", rope_text(config)},
      {"rope_theta", real(rope_theta(config))},
      {"router_aux_loss_coef", real(aux ? m.aux_loss_coef : 0)},
      {"router_jitter_noise", "0.0"},
      {"sliding_window", "null"},
      {"tie_word_embeddings", "false"},
      {"use_cache", "true"},
      {"vocab_size", fmt::to_string(m.vocabulary)}};
  std::string text;
  for (const auto& [key, value] : fields)
    text += fmt::format("{}\n  \"{}\": {}", text.empty() ? "{" : ",", key, value);
  return text + "\n}\n";
}

std::int64_t hf_rotary_row(const ModelSpec& model, HfRotary rotary, std::int64_t row) {
  if (rotary == HfRotary::kPrefix) return row;
  const auto half_head = model.head_dim / 2, half = model.rotary_dim / 2;
  const auto resting = half_head - half;  // in each half of the head
  if (row < half) return row;
  if (row < 2 * half) return half_head + (row - half);
  const auto rest = row - 2 * half;
  return rest < resting ? half + rest : half_head + half + (rest - resting);
}

}  // namespace fulgur
