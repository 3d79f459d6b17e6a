#include "orchestrator/planner/plan_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orchestrator/run/progress.hpp"
#include "recipes/cost/collectives.hpp"
#include "recipes/layout.hpp"
#include "recipes/parameters.hpp"
#include "recipes/pipeline_layers.hpp"

namespace fulgur {
namespace {

double gib(double bytes) {
  return bytes / (1024.0 * 1024 * 1024);
}

std::string bytes_text(double bytes) {
  return bytes == 0 ? "-" : short_number(bytes) + "B";
}

std::string seconds_text(double seconds) {
  return seconds >= 1 ? fmt::format("{:.2f} s", seconds) : fmt::format("{:.1f} ms", seconds * 1e3);
}

std::string heading(const PlannedPhase& phase, const Cluster& cluster) {
  const auto& job = phase.job;
  const auto& plan = phase.plan;
  const auto& hardware = cluster.hardware;
  std::string text =
      fmt::format("{} on {} x {}: {}\n", job.name, cluster.devices, hardware.name, hardware.about);
  text += fmt::format("  model    {} parameters, {} of them active for a token\n",
                      grouped(total_parameters(job.model)), grouped(active_parameters(job.model)));
  text += fmt::format("  layout   {}: {} rank{} on {} node{}; edp {}; {} token group{}\n",
                      to_string(job.layout), plan.world, plan.world == 1 ? "" : "s", plan.nodes,
                      plan.nodes == 1 ? "" : "s", edp(job.layout), job.experts.token_groups,
                      job.experts.token_groups == 1 ? "" : "s");
  text += fmt::format("  step     {} tokens in {} micro-batch{}: {}\n",
                      grouped(static_cast<std::int64_t>(plan.tokens_per_step)),
                      job.train.batch / job.train.micro_batch,
                      job.train.batch == job.train.micro_batch ? "" : "es",
                      seconds_text(plan.step_seconds));
  text += fmt::format("  speed    {} tokens/s, {} a device; {:.1f} % of the peak (MFU)\n",
                      short_number(plan.tokens_per_second),
                      short_number(plan.tokens_per_second / plan.used_devices), 100 * plan.mfu);
  text += fmt::format("  memory   fullest rank {:.2f} GiB of {:.1f} (stage {}), mean {:.2f}\n",
                      gib(plan.fullest_bytes()), gib(plan.device_bytes), plan.fullest_stage(),
                      gib(plan.mean_bytes()));
  const auto document = plan.assumptions.document;
  text += fmt::format("  assumed  the fullest experts get {:.2f} times the mean; documents of {}\n",
                      plan.assumptions.imbalance,
                      document > 0 ? grouped(document) + " tokens" : "a whole sequence");
  return text;
}

std::string limits(const Plan& plan) {
  auto text = fmt::format("\nWhere the time of a step goes (stage {}, which works the longest)\n",
                          plan.slowest);
  for (const auto& share : plan.shares) {
    const auto bar = static_cast<std::size_t>(std::lround(40 * share.part));
    text += fmt::format("  {:<28} {:5.1f} %  {}\n", share.what, 100 * share.part,
                        std::string(bar, '#'));
  }
  return text;
}

std::string table(const Plan& plan) {
  std::string text =
      "\nA rank of each stage: GiB (activations with the assumed routing), seconds\n";
  text += fmt::format("  {:>5} {:>7} {:>9} {:>8} {:>9} {:>9} {:>8} {:>7} {:>7} {:>8} {:>8} {:>7}\n",
                      "stage", "layers", "parameters", "weights", "gradients", "optimizer",
                      "activ.", "flying", "other", "fullest", "busy s", "waits");
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    const auto& stage = plan.stages[s];
    const auto& memory = stage.fullest;
    text += fmt::format(
        "  {:>5} {:>7} {:>10} {:>8.2f} {:>9.2f} {:>9.2f} {:>8.2f} {:>7} {:>7.2f} {:>8.2f} {:>8.3f} "
        "{:>5.1f} %\n",
        s, fmt::format("{}+{}", stage.lightning_layers, stage.softmax_layers),
        short_number(static_cast<double>(memory.state.parameters)), gib(memory.state.weights),
        gib(memory.state.gradients), gib(memory.state.optimizer + memory.state.reduced),
        gib(memory.activations), memory.in_flight, gib(memory.communicators + memory.reserved),
        gib(memory.total()), stage.time.work.seconds(),
        100 * stage.time.bubble / stage.time.seconds());
  }
  return text;
}

// Ranks of a stage in a row, at most a node of them.
std::string node_picture(const Job& job, const Cluster& cluster) {
  const int shown = std::min(world_size(job.layout), cluster.hardware.devices_per_node);
  std::string text = "\n  first node ";
  for (int rank = 0; rank < shown; ++rank)
    text += fmt::format(" {:>4}", rank);
  const auto row = [&](const char* axis, int size, const auto& coordinate) {
    if (size == 1) return;
    text += fmt::format("\n  {:<10} ", axis);
    for (int rank = 0; rank < shown; ++rank)
      text += fmt::format(" {:>4}", coordinate(Rank{rank}));
  };
  const auto& l = job.layout;
  row("pp", l.pp, [&](Rank rank) { return dense_coordinate(rank, l).pp; });
  row("dp", l.dp, [&](Rank rank) { return dense_coordinate(rank, l).dp; });
  row("cp", l.cp, [&](Rank rank) { return dense_coordinate(rank, l).cp; });
  row("tp", l.tp, [&](Rank rank) { return dense_coordinate(rank, l).tp; });
  row("edp", edp(l), [&](Rank rank) { return expert_coordinate(rank, l).edp; });
  row("ep", l.ep, [&](Rank rank) { return expert_coordinate(rank, l).ep; });
  row("etp", l.etp, [&](Rank rank) { return expert_coordinate(rank, l).etp; });
  return text + "\n";
}

std::string picture(const Job& job, const Cluster& cluster) {
  const auto& l = job.layout;
  const int stage_ranks = l.dp * l.cp * l.tp;
  std::string text =
      "\nLayout: E embedding, l lightning, S softmax attention, H head; experts in every layer\n";
  std::size_t width = 0;
  for (int s = 0; s < l.pp; ++s)
    width = std::max(width, layer_letters(job, s).size());
  for (int s = 0; s < l.pp; ++s) {
    const int first = s * stage_ranks, last = first + stage_ranks - 1;
    text += fmt::format("  stage {:<3} [{:<{}}]  ranks {}-{}", s, layer_letters(job, s), width,
                        first, last);
    const int per_node = cluster.hardware.devices_per_node;
    if (cluster.nodes() > 1)
      text += fmt::format(", nodes {}-{}", first / per_node, last / per_node);
    text += "\n";
  }
  return text + node_picture(job, cluster);
}

std::string groups(const Job& job, const Plan& plan, const Cluster& cluster) {
  std::string text = fmt::format("\nWhat a rank of stage {} sends in a step\n", plan.slowest);
  text += fmt::format("  {:<8} {:>6} {:>6} {:>8} {:>10} {:>10} {:>10}\n", "group", "ranks", "nodes",
                      "calls", "on node", "network", "time");
  const auto& work = plan.stages[plan.slowest].time.work;
  for (int i = 0; i < kNumGroups; ++i) {
    const auto group = static_cast<Group>(i);
    const auto& traffic = work.of(group);
    if (traffic.calls == 0) continue;
    const auto shape = group_shape(group, job.layout, cluster.hardware.devices_per_node);
    text += fmt::format("  {:<8} {:>6} {:>6} {:>8.0f} {:>10} {:>10} {:>10}\n", name_of(group),
                        shape.size, shape.nodes(), traffic.calls, bytes_text(traffic.node_bytes),
                        bytes_text(traffic.network_bytes), seconds_text(traffic.seconds));
  }
  return text + "  (dense, experts: ranks that hold the same weights)\n";
}

std::string further_phases(const std::vector<PlannedPhase>& phases) {
  if (phases.size() == 1) return "";
  std::string text = "\nFurther phases\n";
  for (std::size_t i = 1; i < phases.size(); ++i) {
    const auto& [number, from, job, plan] = phases[i];
    text += fmt::format(
        "  from {:>6} tokens: {} x {} tokens a step, {}, {} tokens/s, MFU {:.1f} %, {:.1f} GiB\n",
        short_number(static_cast<double>(from)), job.train.batch,
        grouped(job.train.sequence_length), seconds_text(plan.step_seconds),
        short_number(plan.tokens_per_second), 100 * plan.mfu, gib(plan.fullest_bytes()));
  }
  return text;
}

}  // namespace

std::string layer_letters(const Job& job, int stage) {
  std::string letters;
  for (const auto& piece : pieces_of_stage(layers_per_piece(job), job.layout.pp, stage)) {
    if (!letters.empty()) letters += ' ';
    if (piece.has_embedding) letters += 'E';
    for (auto layer = piece.first; layer < piece.last; ++layer)
      letters += attention_kind(job.model, layer) == AttentionKind::kSoftmax ? 'S' : 'l';
    if (piece.has_head) letters += 'H';
  }
  return letters;
}

std::string plan_text(const std::vector<PlannedPhase>& phases, const Cluster& cluster) {
  const auto& first = phases.front();
  const auto seen = shared_by(cluster, first.plan.world);
  return heading(first, cluster) + limits(first.plan) + table(first.plan) +
         picture(first.job, seen) + groups(first.job, first.plan, seen) + further_phases(phases);
}

}  // namespace fulgur
