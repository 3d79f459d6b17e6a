#include <fmt/format.h>

#include <algorithm>

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

std::optional<Finding> cluster_kind_is_known(const Job& job) {
  if (job.cluster.kind == "local") return std::nullopt;
  return Finding{"E0253",
                 fmt::format("there is no cluster of kind `{}`", shortened(job.cluster.kind)),
                 "kinds: local"};
}

std::optional<Finding> precision_fits_the_device(const Job& job) {
  if (job.train.precision == Precision::kFloat32 || job.device != DeviceKind::kCpu)
    return std::nullopt;
  return Finding{"E0257", "train.precision is bfloat16 and device is cpu",
                 "train.precision: float32, or device: cuda"};
}

std::optional<Finding> sample_has_a_prompt(const Job& job) {
  if (job.sample.tokens == 0 || !job.sample.prompt.empty()) return std::nullopt;
  return Finding{"E0254",
                 fmt::format("a sample of {} tokens, but no prompt to continue", job.sample.tokens),
                 "give sample.prompt, or set sample.tokens to 0"};
}

}  // namespace

std::span<const Rule> run_rules() {
  static const std::vector<Rule> kRules = {
      {{"name"}, name_is_a_file_name},
      {{"run_directory"}, run_has_a_directory},
      {{"cluster.dead_after", "cluster.heartbeat"}, death_takes_some_heartbeats},
      {{"cluster.kind"}, cluster_kind_is_known},
      {{"train.precision", "device"}, precision_fits_the_device},
      {{"sample.tokens", "sample.prompt"}, sample_has_a_prompt},
  };
  return kRules;
}

}  // namespace fulgur
