#include "recipes/cost/plan.hpp"

#include <algorithm>

#include "recipes/layout.hpp"

namespace fulgur {
namespace {

constexpr double kLeastShare = 0.005;  // smaller ones are told together

std::vector<StagePlan> plan_stages(const Job& job, const Hardware& hardware,
                                   const Assumptions& assumptions, const StepTime& time) {
  const auto states = model_states(job);
  const auto layers = layers_per_piece(job);
  std::vector<StagePlan> stages;
  for (int s = 0; s < job.layout.pp; ++s) {
    const auto& state = states[static_cast<std::size_t>(s)];
    StagePlan stage{.mean = stage_memory(job, hardware, state, s, 1),
                    .fullest = stage_memory(job, hardware, state, s, assumptions.imbalance),
                    .time = time.stages[static_cast<std::size_t>(s)]};
    for (const auto& piece : pieces_of_stage(layers, job.layout.pp, s)) {
      stage.has_embedding = stage.has_embedding || piece.has_embedding;
      stage.has_head = stage.has_head || piece.has_head;
      for (auto layer = piece.first; layer < piece.last; ++layer) {
        const bool softmax = attention_kind(job.model, layer) == AttentionKind::kSoftmax;
        ++(softmax ? stage.softmax_layers : stage.lightning_layers);
      }
    }
    stages.push_back(stage);
  }
  return stages;
}

std::vector<Share> shares_of(const StageTime& time) {
  std::vector<Share> shares{{"waits for other stages", time.bubble},
                            {"reduction of gradients", time.reduction},
                            {"optimizer", time.optimizer},
                            {"gathering of weights", time.gathering}};
  for (int part = 0; part < kNumParts; ++part) {
    const auto each = static_cast<Part>(part);
    shares.push_back({name_of(each), time.work[each]});
  }
  for (auto& share : shares)
    share.part /= time.seconds();
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.part > b.part; });
  double rest = 0;
  while (!shares.empty() && shares.back().part < kLeastShare) {
    rest += shares.back().part;
    shares.pop_back();
  }
  if (rest > 0) shares.push_back({"the rest", rest});
  return shares;
}

}  // namespace

double Plan::mean_bytes() const {
  double sum = 0;
  for (const auto& stage : stages)
    sum += stage.mean.total();
  return sum / static_cast<double>(stages.size());
}

std::size_t Plan::fullest_stage() const {
  const auto fullest = std::max_element(
      stages.begin(), stages.end(),
      [](const StagePlan& a, const StagePlan& b) { return a.fullest.total() < b.fullest.total(); });
  return static_cast<std::size_t>(fullest - stages.begin());
}

Plan make_plan(const Job& job, const Cluster& cluster, const Assumptions& assumptions) {
  const auto time = step_time(job, cluster, assumptions);
  Plan plan{.assumptions = assumptions,
            .world = world_size(job.layout),
            .devices = cluster.devices,
            .nodes = cluster.nodes(),
            .device_bytes = shared_by(cluster, world_size(job.layout)).hardware.memory,
            .stages = plan_stages(job, cluster.hardware, assumptions, time),
            .step_seconds = time.seconds,
            .bubble = time.bubble,
            .flops = training_flops(job.model, job.train.sequence_length)};
  plan.tokens_per_step = static_cast<double>(job.train.batch * job.train.sequence_length);
  plan.tokens_per_second = plan.tokens_per_step / plan.step_seconds;
  const bool shared = cluster.hardware.device == DeviceKind::kCpu;
  plan.used_devices = shared ? plan.devices : std::min(plan.world, plan.devices);
  plan.mfu = plan.tokens_per_second * plan.flops.total() /
             (plan.used_devices * cluster.hardware.peak(job.train.precision));
  const auto busy = [&](std::size_t s) { return plan.stages[s].time.work.seconds(); };
  for (std::size_t s = 1; s < plan.stages.size(); ++s)
    if (busy(s) > busy(plan.slowest)) plan.slowest = s;
  plan.shares = shares_of(plan.stages[plan.slowest].time);
  return plan;
}

}  // namespace fulgur
