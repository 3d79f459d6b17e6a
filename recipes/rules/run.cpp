#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "recipes/diagnostic.hpp"
#include "recipes/fields.hpp"
#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

constexpr std::size_t kLongestName = 64;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

// The name becomes a part of paths.
std::optional<Finding> name_is_a_file_name(const Job& job) {
  const auto& name = job.name;
  const bool good = !name.empty() && name.size() <= kLongestName && name.front() != '.' &&
                    name.front() != '-' && std::all_of(name.begin(), name.end(), is_name_character);
  if (good) return std::nullopt;
  return Finding{
      "E0251", fmt::format("`{}` is no name for a run", shortened(name, kLongestName)),
      fmt::format("1 to {} letters, digits, -, _ and ., not beginning with - or .", kLongestName)};
}

std::optional<Finding> run_has_a_directory(const Job& job) {
  if (!job.run_directory.empty()) return std::nullopt;
  return Finding{"E0255", "run_directory is empty", "leave it away for runs/<name>"};
}

// Two signs of life may be late or lost before a worker counts as dead.
std::optional<Finding> death_takes_some_heartbeats(const Job& job) {
  constexpr double kLeast = 2;
  const auto& cluster = job.cluster;
  if (cluster.dead_after_seconds >= kLeast * cluster.heartbeat_seconds) return std::nullopt;
  return Finding{
      "E0252",
      fmt::format("dead_after {}s is less than two heartbeats of {}s",
                  real_text(cluster.dead_after_seconds), real_text(cluster.heartbeat_seconds)),
      fmt::format("dead_after: {}s or more", real_text(kLeast * cluster.heartbeat_seconds))};
}

std::optional<Finding> nccl_has_gpus(const Job& job) {
  if (job.cluster.transport != Transport::kNccl || job.device != DeviceKind::kCpu)
    return std::nullopt;
  return Finding{"E0256", "NCCL moves tensors between GPUs only, and device is cpu",
                 "transport: auto or ucx, or device: cuda"};
}

std::optional<Finding> precision_fits_the_device(const Job& job) {
  if (job.train.precision == Precision::kFloat32 || job.device != DeviceKind::kCpu)
    return std::nullopt;
  return Finding{"E0258", "train.precision is bfloat16 and device is cpu",
                 "train.precision: float32, or device: cuda"};
}

std::optional<Finding> sample_has_a_prompt(const Job& job) {
  if (job.sample.tokens == 0 || !job.sample.prompt.empty()) return std::nullopt;
  return Finding{"E0254",
                 fmt::format("a sample of {} tokens, but no prompt to continue", job.sample.tokens),
                 "give sample.prompt, or set sample.tokens to 0"};
}

// Weights and text of one shape do not fit another; what else is fixed may be changed by who says so.
bool can_be_changed(const Field& field) {
  static constexpr auto kShapes = std::to_array<std::string_view>(
      {"model.vocabulary", "model.layers", "model.hidden", "model.heads", "model.head_dim",
       "model.kv_heads", "model.softmax_every", "model.softmax_layers", "model.experts",
       "model.expert_hidden", "data.tokenizer"});
  return field.category == Category::kIdentity &&
         std::find(kShapes.begin(), kShapes.end(), field.name) == kShapes.end();
}

std::optional<Finding> changes_can_be_allowed(const Job& job) {
  for (const auto& name : job.resume.allow_change) {
    const auto* field = find_field(name);
    if (field != nullptr && can_be_changed(*field)) continue;
    if (field != nullptr && field->category == Category::kIdentity)
      return Finding{"E0257", fmt::format("a resume cannot change {}", name),
                     "the weights of the checkpoint would not fit; start another run"};
    if (field != nullptr)
      return Finding{"E0257", fmt::format("{} need not be allowed", name),
                     "a resume may change it in any case"};
    return Finding{"E0257", fmt::format("there is no field `{}`", shortened(name)),
                   "fields are named in full, as optimizer.weight_decay"};
  }
  return std::nullopt;
}

}  // namespace

std::span<const Rule> run_rules() {
  static const std::vector<Rule> kRules = {
      {{"name"}, name_is_a_file_name},
      {{"run_directory"}, run_has_a_directory},
      {{"cluster.dead_after", "cluster.heartbeat"}, death_takes_some_heartbeats},
      {{"cluster.transport", "device"}, nccl_has_gpus},
      {{"train.precision", "device"}, precision_fits_the_device},
      {{"sample.tokens", "sample.prompt"}, sample_has_a_prompt},
      {{"resume.allow_change"}, changes_can_be_allowed},
  };
  return kRules;
}

}  // namespace fulgur
