#include <fmt/format.h>

#include <algorithm>

#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

constexpr double kMostParameters = 1e15;  // so that counts of elements and bytes fit an int64

std::optional<Finding> heads_are_shared_evenly(const Job& job) {
  const auto& m = job.model;
  if (m.heads % m.kv_heads == 0) return std::nullopt;
  return Finding{
      "E0201",
      fmt::format("{} heads cannot be shared evenly by {} key and value heads", m.heads,
                  m.kv_heads),
      fmt::format("kv_heads must divide heads: {}", nearest_divisors(m.heads, m.kv_heads))};
}

std::optional<Finding> rotary_fits_the_head(const Job& job) {
  const auto& m = job.model;
  const auto most = m.head_dim / 2 * 2;
  if (m.rotary_dim > m.head_dim) {
    return Finding{
        "E0202", fmt::format("rotary_dim {} is more than a head has: {}", m.rotary_dim, m.head_dim),
        fmt::format("at most {}", most)};
  }
  if (m.rotary_dim % 2 == 0) return std::nullopt;
  return Finding{"E0202",
                 fmt::format("rotary_dim {} is odd, but dimensions turn in pairs", m.rotary_dim),
                 fmt::format("{} or {}", m.rotary_dim - 1, std::min(m.rotary_dim + 1, most))};
}

std::optional<Finding> there_are_enough_experts(const Job& job) {
  const auto& m = job.model;
  if (m.experts_per_token <= m.experts) return std::nullopt;
  return Finding{
      "E0203",
      fmt::format("{} experts per token, but a layer has only {}", m.experts_per_token, m.experts),
      fmt::format("experts_per_token at most {}", m.experts)};
}

std::optional<Finding> softmax_layers_exist_once(const Job& job) {
  auto listed = job.model.softmax_layers;
  std::sort(listed.begin(), listed.end());
  if (!listed.empty() && listed.back() >= job.model.layers) {
    return Finding{"E0204",
                   fmt::format("softmax layer {} does not exist in a model of {} layers",
                               listed.back(), job.model.layers),
                   fmt::format("layers count from 0: the last is {}", job.model.layers - 1)};
  }
  const auto twice = std::adjacent_find(listed.begin(), listed.end());
  if (twice == listed.end()) return std::nullopt;
  return Finding{"E0204", fmt::format("softmax layer {} is listed twice", *twice), "list it once"};
}

// In double precision, where nothing overflows; what it leaves out is small.
std::optional<Finding> parameters_can_be_counted(const Job& job) {
  const auto& m = job.model;
  const auto C = static_cast<double>(m.hidden), F = static_cast<double>(m.expert_hidden),
             E = static_cast<double>(m.experts), L = static_cast<double>(m.layers),
             V = static_cast<double>(m.vocabulary),
             width = static_cast<double>(m.heads) * static_cast<double>(m.head_dim);
  const double total = 2 * V * C + L * (5 * width * C + E * C + 3 * E * C * F);
  if (total <= kMostParameters) return std::nullopt;
  return Finding{
      "E0205", fmt::format("a model of about {:.1e} parameters is too large to be counted", total),
      fmt::format("at most {:.0e}", kMostParameters)};
}

}  // namespace

std::span<const Rule> model_rules() {
  static const std::vector<Rule> kRules = {
      {{"model.kv_heads", "model.heads"}, heads_are_shared_evenly},
      {{"model.rotary_dim", "model.head_dim"}, rotary_fits_the_head},
      {{"model.experts_per_token", "model.experts"}, there_are_enough_experts},
      {{"model.softmax_layers", "model.layers"}, softmax_layers_exist_once},
      {{"model.experts", "model.expert_hidden", "model.hidden", "model.layers", "model.heads",
        "model.head_dim", "model.vocabulary"},
       parameters_can_be_counted},
  };
  return kRules;
}

}  // namespace fulgur
