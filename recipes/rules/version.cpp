#include <fmt/format.h>

#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

// What recipes can say already but the trainer cannot do. This file goes when it can.
std::optional<Finding> device_is_cpu(const Job& job) {
  if (job.device != DeviceKind::kCuda) return std::nullopt;
  return Finding{"E0221", "device = cuda: this version trains on the CPU only", "device: cpu"};
}

}  // namespace

std::span<const Rule> version_rules() {
  static const std::vector<Rule> kRules = {
      {{"device"}, device_is_cpu},
  };
  return kRules;
}

}  // namespace fulgur
