#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "recipes/cost/plan.hpp"
#include "recipes/layout.hpp"
#include "recipes/rules/rules.hpp"

namespace fulgur {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

// A change of a recipe that makes its ranks smaller.
struct Change {
  std::string text;
  std::function<void(Job&)> apply;
};

// Doubles an axis of the experts, or one of the others at the cost of dp.
Change doubled(const char* name, int Layout::*axis, int Layout::*taken, const Job& job) {
  auto text = fmt::format("layout.{}={}", name, job.layout.*axis * 2);
  if (taken != nullptr) text += fmt::format(" layout.dp={}", job.layout.*taken / 2);
  return {text, [axis, taken](Job& changed) {
            changed.layout.*axis *= 2;
            if (taken != nullptr) changed.layout.*taken /= 2;
          }};
}

std::vector<Change> changes_of(const Job& job) {
  std::vector<Change> changes;
  const auto recompute = [&](Recompute policy, const char* text) {
    if (job.memory.recompute >= policy) return;
    changes.push_back({text, [policy](Job& changed) { changed.memory.recompute = policy; }});
  };
  recompute(Recompute::kSelective, "memory.recompute=selective");
  recompute(Recompute::kFull, "memory.recompute=full");
  if (job.train.micro_batch > job.layout.dp) {
    changes.push_back({fmt::format("train.micro_batch={}", job.layout.dp),
                       [](Job& changed) { changed.train.micro_batch = changed.layout.dp; }});
  }
  changes.push_back(doubled("ep", &Layout::ep, nullptr, job));
  changes.push_back(doubled("etp", &Layout::etp, nullptr, job));
  if (job.layout.dp % 2 == 0) {
    changes.push_back(doubled("cp", &Layout::cp, &Layout::dp, job));
    changes.push_back(doubled("tp", &Layout::tp, &Layout::dp, job));
    changes.push_back(doubled("pp", &Layout::pp, &Layout::dp, job));
  }
  return changes;
}

double fullest_bytes(const Job& job, const Cluster& cluster, const Assumptions& assumptions) {
  const auto states = model_states(job);
  double fullest = 0;
  for (int s = 0; s < job.layout.pp; ++s) {
    const auto& state = states[static_cast<std::size_t>(s)];
    fullest = std::max(
        fullest, stage_memory(job, cluster.hardware, state, s, assumptions.imbalance).total());
  }
  return fullest;
}

// The changes that keep the rules and fit, at most three; else the one that comes nearest.
std::string changes_that_fit(const Job& job, const Cluster& cluster, const Assumptions& assumptions,
                             double memory) {
  std::vector<std::string> fit;
  std::string nearest;
  double least = fullest_bytes(job, cluster, assumptions);
  for (const auto& change : changes_of(job)) {
    Job changed = job;
    change.apply(changed);
    if (!violations(changed).empty()) continue;
    const double bytes = fullest_bytes(changed, cluster, assumptions);
    if (bytes <= memory) fit.push_back(fmt::format("{} ({:.1f} GiB)", change.text, bytes / kGiB));
    if (bytes < least) {
      least = bytes;
      nearest = fmt::format("{} ({:.1f} GiB)", change.text, bytes / kGiB);
    }
    if (fit.size() == 3) break;
  }
  if (!fit.empty()) return fmt::format("fits: {}", fmt::join(fit, "; or "));
  if (nearest.empty()) return "no single change of the layout or of recomputation helps";
  return fmt::format("no single change is enough; nearest: {}", nearest);
}

}  // namespace

std::vector<PlanProblem> cluster_problems(const Job& job, const Cluster& cluster) {
  std::vector<PlanProblem> problems;
  const int world = world_size(job.layout);
  const bool shares = cluster.hardware.device == DeviceKind::kCpu;
  if (world > cluster.devices && !shares) {
    const int rest = world / job.layout.dp;
    const int dp = cluster.devices / rest;
    problems.push_back({"E0291",
                        fmt::format("{} need {} ranks, and the cluster has {} devices",
                                    to_string(job.layout), world, cluster.devices),
                        {"layout.dp", "layout.pp", "layout.cp", "layout.tp"},
                        dp > 0 ? fmt::format("layout.dp={}, or a cluster of {}", dp, world)
                               : fmt::format("pp x cp x tp at most {}, or a cluster of {}",
                                             cluster.devices, world)});
  }
  if (cluster.hardware.peak(job.train.precision) <= 0) {
    problems.push_back({"E0292",
                        fmt::format("{} has no bfloat16 arithmetic", cluster.hardware.name),
                        {"train.precision"},
                        "train.precision=float32, or other hardware"});
  }
  return problems;
}

std::vector<PlanProblem> memory_problems(const Job& job, const Cluster& cluster, const Plan& plan) {
  const double memory = plan.device_bytes;
  const double bytes = plan.fullest_bytes();
  if (bytes <= memory) return {};
  return {{"E0293",
           fmt::format("a rank of stage {} would hold {:.1f} GiB, and a device of {} has {:.1f}",
                       plan.fullest_stage(), bytes / kGiB, cluster.hardware.name, memory / kGiB),
           {"memory.recompute", "train.micro_batch", "layout.pp", "layout.tp", "layout.ep",
            "layout.etp"},
           changes_that_fit(job, cluster, plan.assumptions, memory)}};
}

}  // namespace fulgur
