#include "orchestrator/planner/plan_json.hpp"

#include <boost/json.hpp>

#include "recipes/layout.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

json::object memory_object(const StageMemory& memory) {
  return {{"weights", memory.state.weights},     {"gradients", memory.state.gradients},
          {"optimizer", memory.state.optimizer}, {"reduced_gradients", memory.state.reduced},
          {"activations", memory.activations},   {"communicators", memory.communicators},
          {"reserved", memory.reserved},         {"total", memory.total()}};
}

json::object time_object(const StageTime& time) {
  json::object parts, traffic;
  for (int i = 0; i < kNumParts; ++i)
    parts[name_of(static_cast<Part>(i))] = time.work[static_cast<Part>(i)];
  for (int i = 0; i < kNumGroups; ++i) {
    const auto& group = time.work.of(static_cast<Group>(i));
    if (group.calls == 0) continue;
    traffic[name_of(static_cast<Group>(i))] = {{"calls", group.calls},
                                               {"node_bytes", group.node_bytes},
                                               {"network_bytes", group.network_bytes},
                                               {"seconds", group.seconds}};
  }
  return {{"busy", time.work.seconds()},  {"bubble", time.bubble},
          {"reduction", time.reduction},  {"optimizer", time.optimizer},
          {"gathering", time.gathering},  {"parts", std::move(parts)},
          {"traffic", std::move(traffic)}};
}

json::object stage_object(const StagePlan& stage) {
  return {{"lightning_layers", stage.lightning_layers},
          {"softmax_layers", stage.softmax_layers},
          {"parameters", stage.fullest.state.parameters},
          {"in_flight", stage.fullest.in_flight},
          {"mean_bytes", memory_object(stage.mean)},
          {"fullest_bytes", memory_object(stage.fullest)},
          {"seconds", time_object(stage.time)}};
}

json::object phase_object(const PlannedPhase& phase) {
  const auto& plan = phase.plan;
  json::array stages;
  for (const auto& stage : plan.stages)
    stages.push_back(stage_object(stage));
  const auto& flops = plan.flops;
  return {{"from_tokens", phase.from_tokens},
          {"sequence_length", phase.job.train.sequence_length},
          {"batch", phase.job.train.batch},
          {"micro_batch", phase.job.train.micro_batch},
          {"token_groups", phase.job.experts.token_groups},
          {"step_seconds", plan.step_seconds},
          {"tokens_per_second", plan.tokens_per_second},
          {"mfu", plan.mfu},
          {"bubble", plan.bubble},
          {"mean_bytes", plan.mean_bytes()},
          {"fullest_bytes", plan.fullest_bytes()},
          {"fullest_stage", plan.fullest_stage()},
          {"flops_per_token",
           {{"weights", flops.weights},
            {"head", flops.head},
            {"softmax", flops.softmax},
            {"lightning", flops.lightning}}},
          {"stages", std::move(stages)}};
}

}  // namespace

std::string plan_json(const std::vector<PlannedPhase>& phases, const Cluster& cluster) {
  const auto& first = phases.front();
  json::array planned;
  for (const auto& phase : phases)
    planned.push_back(phase_object(phase));
  const json::object whole{{"version", 1},
                           {"name", first.job.name},
                           {"hardware", cluster.hardware.name},
                           {"devices", cluster.devices},
                           {"nodes", cluster.nodes()},
                           {"device_bytes", first.plan.device_bytes},
                           {"layout", to_string(first.job.layout)},
                           {"world", first.plan.world},
                           {"imbalance", first.plan.assumptions.imbalance},
                           {"document", first.plan.assumptions.document},
                           {"phases", std::move(planned)}};
  return json::serialize(whole) + "\n";
}

}  // namespace fulgur
