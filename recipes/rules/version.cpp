#include <fmt/format.h>

#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

// What recipes can say already but the trainer cannot do. This file goes when it can.
template <int Layout::*Axis>
std::optional<Finding> axis_is_one(const Job& job, std::string_view name) {
  if (job.layout.*Axis == 1) return std::nullopt;
  return Finding{
      "E0221",
      fmt::format("layout.{} = {}: this version trains with dp only", name, job.layout.*Axis),
      fmt::format("layout.{}: 1", name)};
}

std::optional<Finding> device_is_cpu(const Job& job) {
  if (job.device != DeviceKind::kCuda) return std::nullopt;
  return Finding{"E0221", "device = cuda: this version trains on the CPU only", "device: cpu"};
}

}  // namespace

std::span<const Rule> version_rules() {
  static const std::vector<Rule> kRules = {
      {{"device"}, device_is_cpu},
      {{"layout.pp"}, [](const Job& job) { return axis_is_one<&Layout::pp>(job, "pp"); }},
      {{"layout.cp"}, [](const Job& job) { return axis_is_one<&Layout::cp>(job, "cp"); }},
      {{"layout.tp"}, [](const Job& job) { return axis_is_one<&Layout::tp>(job, "tp"); }},
      {{"layout.ep"}, [](const Job& job) { return axis_is_one<&Layout::ep>(job, "ep"); }},
      {{"layout.etp"}, [](const Job& job) { return axis_is_one<&Layout::etp>(job, "etp"); }},
  };
  return kRules;
}

}  // namespace fulgur
