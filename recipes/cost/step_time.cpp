#include "recipes/cost/step_time.hpp"

#include <algorithm>
#include <cmath>

#include "recipes/cost/layer_time.hpp"
#include "recipes/layout.hpp"

namespace fulgur {
namespace {

double as_double(std::int64_t count) {
  return static_cast<double>(count);
}

double row_bytes(const RankShape& s) {
  return as_double(s.rows * s.hidden) * s.activation_bytes;
}

template <class Queue>
PassTime timed(const Rates& rates, const Layout& layout, const Queue& queue) {
  PassClock clock(rates, layout);
  queue(clock);
  return clock.time();
}

// Router counts and probabilities are added up over the stage, for the auxiliary loss.
void time_auxiliary(PassClock& clock, const RankShape& s, std::int64_t layers) {
  const auto& l = s.layout;
  const auto stage = group_shape(l.dp * l.cp * l.tp, 1, clock.rates().hardware.devices_per_node);
  const double counters = as_double(layers * s.experts);
  for (const double bytes : {4 * counters, 8 * counters}) {
    clock.collective(Group::kDense, all_reduce_cost(stage, bytes, clock.rates().hardware));
  }
}

void time_embedding(PassClock& clock, const RankShape& s) {
  const double bytes = as_double(s.tokens * s.hidden) * s.activation_bytes;
  clock.compute(Part::kMemory, clock.rates().memory(2 * bytes));
  time_scatter_sum(clock, s);
}

// Logits, loss and both gradients of the head: all in the backward pass.
void time_head(PassClock& clock, const RankShape& s) {
  const auto& rates = clock.rates();
  const double logits = as_double(s.tokens * s.vocabulary);
  time_gather_rows(clock, s);
  for (int product = 0; product < 3; ++product)
    clock.compute(Part::kProducts, rates.products(2 * logits * as_double(s.hidden)));
  clock.compute(Part::kMemory, rates.memory(3 * logits * s.activation_bytes));
  clock.compute(Part::kMemory, rates.memory(5 * row_bytes(s)));  // the final norm
  time_scatter_sum(clock, s);
}

// A stage's copy of what goes through its pipes.
void time_pipe(PassClock& clock, const RankShape& s) {
  if (s.layout.pp == 1) return;
  clock.compute(Part::kMemory, clock.rates().memory(2 * row_bytes(s)));
  const auto shape = clock.shape(Group::kPp);
  clock.beside(PassClock::kCp, Group::kPp, send_cost(shape, row_bytes(s), clock.rates().hardware),
               -1);
}

// Calls work(kind) for all layers of a piece, and adds up what it comes to; layers of a kind are alike.
template <class Work>
PassTime sum_of_layers(const ModelSpec& model, const ModelPiece& piece, const Rates& rates,
                       const Layout& layout, const Work& work) {
  PassTime sum;
  for (const auto kind : {AttentionKind::kLightning, AttentionKind::kSoftmax}) {
    std::int64_t count = 0;
    for (auto layer = piece.first; layer < piece.last; ++layer)
      count += attention_kind(model, layer) == kind ? 1 : 0;
    if (count == 0) continue;
    sum +=
        timed(rates, layout, [&](PassClock& clock) { work(clock, kind); }).times(as_double(count));
  }
  return sum;
}

// Reductions of gradients and gathering of weights on the replica stream.
class Replication {
 public:
  Replication(const Job& job, const Rates& rates, std::span<const ReplicatedParameters> held)
      : job_(job), hardware_(rates.hardware) {
    const bool rounds = job.train.precision == Precision::kBFloat16;
    for (const auto& each : held) {
      const double element = rounds && !each.exact ? 2 : 4;
      reductions_.push_back(cost(each, 4));
      gathers_.push_back(cost(each, element));
      const double owned = as_double(each.count) / each.replicas;
      // Weight, moments and gradient, most of them read and written, and the norm; zeros next time.
      update_ += rates.memory(owned * (28 + 4 + (rounds && !each.exact ? 2 : 0)));
      update_ += rates.memory(4 * as_double(each.count));
    }
  }

  double update() const { return update_; }
  double reduction() const { return sum(reductions_); }
  double gathering() const { return sum(gathers_); }
  // Until the weights of the first layer are there: those of the last group come behind all others.
  double first_gathered(std::int64_t layers) const {
    if (gathers_.empty()) return 0;
    const double last = gathers_.back().seconds;
    return gathering() - last + last / as_double(std::max<std::int64_t>(layers, 1));
  }
  void add_traffic(PassTime& time, std::span<const ReplicatedParameters> held) const {
    for (std::size_t i = 0; i < held.size(); ++i) {
      const auto group = held[i].kind == ParameterKind::kExpert ? Group::kExpert : Group::kDense;
      time.add(group, reductions_[i]);
      time.add(group, gathers_[i]);
    }
  }

 private:
  static double sum(const std::vector<CallCost>& costs) {
    double seconds = 0;
    for (const auto& cost : costs)
      seconds += cost.seconds;
    return seconds;
  }

  // In buckets, each of which is a call.
  CallCost cost(const ReplicatedParameters& held, double element) const {
    if (held.replicas == 1) return {};
    const auto& l = job_.layout;
    const int stride = held.kind == ParameterKind::kExpert ? l.ep * l.etp : l.tp / held.copies;
    const auto group = group_shape(held.replicas, std::max(1, stride), hardware_.devices_per_node);
    const double bucket = std::min(as_double(job_.optimizer.bucket), as_double(held.count));
    const double buckets = std::ceil(as_double(held.count) / bucket);
    auto one = all_gather_cost(group, bucket * element, hardware_);
    const double bytes = as_double(held.count) / bucket;
    const double latency = all_gather_cost(group, 0, hardware_).seconds;
    one.seconds = latency * buckets + (one.seconds - latency) * bytes;
    one.node_bytes *= bytes;
    one.network_bytes *= bytes;
    one.calls = buckets;
    return one;
  }

  const Job& job_;
  const Hardware& hardware_;
  std::vector<CallCost> reductions_, gathers_;
  double update_ = 0;
};

// Works out a step of a job.
class StepClock {
 public:
  StepClock(const Job& job, const Cluster& cluster, const Assumptions& assumptions)
      : job_(job),
        shape_(rank_shape(job, assumptions.document)),
        cluster_(shared_by(cluster, world_size(job.layout))),
        rates_{cluster_.hardware, job.train.precision},
        imbalance_(assumptions.imbalance) {}

  StepTime run() {
    time_pieces();
    const auto message =
        send_cost(group_shape(Group::kPp, job_.layout, rates_.hardware.devices_per_node),
                  row_bytes(shape_), rates_.hardware);
    const auto pipeline = pipeline_times(pipeline_shape(job_), passes_, message.seconds);
    return with_optimizer(pipeline);
  }

 private:
  void time_pieces() {
    const auto layers = layers_per_piece(job_);
    for (int stage = 0; stage < job_.layout.pp; ++stage) {
      pieces_.push_back(pieces_of_stage(layers, job_.layout.pp, stage));
      auto& passes = passes_.emplace_back();
      auto& work = work_.emplace_back();
      for (const auto& piece : pieces_.back()) {
        const auto time = piece_time(job_, shape_, piece, rates_, imbalance_);
        passes.push_back({time.forward.seconds(), time.backward.seconds(), time.weights.seconds()});
        work += time.forward;
        work += time.backward;
        work += time.weights;
      }
    }
  }

  StepTime with_optimizer(const PipelineTimes& pipeline) {
    const auto table = parameters(job_.model, job_.optimizer.decay_on);
    const double micro_batches = pipeline_shape(job_).micro_batches;
    double reduced = 0, updated = 0, gathered = 0;  // the latest of all stages
    StepTime step;
    for (int s = 0; s < job_.layout.pp; ++s) {
      const auto stage = static_cast<std::size_t>(s);
      const auto held = replicated_parameters(job_, table, s);
      const Replication replication(job_, rates_, held);
      auto& time = step.stages.emplace_back();
      time.work = work_[stage].times(micro_batches);
      replication.add_traffic(time.work, held);
      // The first gradients are complete when the last backward pass has done its first layer.
      std::int64_t layers = 0;
      for (const auto& piece : pieces_[stage])
        layers += piece.last - piece.first;
      const double last = passes_[stage].front().backward;
      const auto count = as_double(std::max<std::int64_t>(layers, 1));
      const double begun = pipeline.end[stage] - last + last / count;
      reduced = std::max({reduced, begun + replication.reduction(),
                          pipeline.end[stage] + replication.reduction() / count});
      updated = std::max(updated, replication.update());
      const double first = passes_[stage].front().forward;
      gathered = std::max({gathered, replication.first_gathered(layers) - pipeline.begin[stage],
                           replication.gathering() - pipeline.begin[stage] - first});
    }
    const auto world = group_shape(Group::kWorld, job_.layout, rates_.hardware.devices_per_node);
    const double norm = all_reduce_cost(world, 8, rates_.hardware).seconds;
    finish(pipeline, {std::max(0.0, reduced - pipeline.makespan), updated + norm, gathered}, step);
    return step;
  }

  struct Ends {
    double reduction, optimizer, gathering;
  };
  static void finish(const PipelineTimes& pipeline, const Ends& ends, StepTime& step) {
    for (std::size_t s = 0; s < step.stages.size(); ++s) {
      auto& stage = step.stages[s];
      stage.bubble = pipeline.makespan - pipeline.busy[s];
      stage.reduction = ends.reduction;
      stage.optimizer = ends.optimizer;
      stage.gathering = ends.gathering;
      step.bubble += stage.bubble / pipeline.makespan / as_double(std::ssize(step.stages));
    }
    step.seconds = pipeline.makespan + ends.reduction + ends.optimizer + ends.gathering;
  }

  const Job& job_;
  RankShape shape_;
  Cluster cluster_;
  Rates rates_;
  double imbalance_;
  std::vector<std::vector<ModelPiece>> pieces_;  // [stages][virtual stages]
  std::vector<std::vector<PassTimes>> passes_;
  std::vector<PassTime> work_;  // [stages] of one micro-batch
};

}  // namespace

PieceTime piece_time(const Job& job, const RankShape& shape, const ModelPiece& piece,
                     const Rates& rates, double imbalance) {
  const bool splits = job.pipeline.schedule == PipelineSchedule::kZeroBubble;
  const auto gradients = splits ? Gradients::kInputs : Gradients::kAll;
  const auto layers = [&](const auto& work) {
    return sum_of_layers(job.model, piece, rates, job.layout, work);
  };
  PieceTime time;
  time.forward = layers([&](PassClock& clock, AttentionKind kind) {
    time_layer_forward(clock, shape, kind, imbalance);
  });
  time.forward += timed(rates, job.layout, [&](PassClock& clock) {
    if (piece.has_embedding) time_embedding(clock, shape);
    if (piece.last > piece.first) time_auxiliary(clock, shape, piece.last - piece.first);
    if (!piece.has_head) time_pipe(clock, shape);
  });
  time.backward = layers([&](PassClock& clock, AttentionKind kind) {
    time_layer_backward(clock, shape, kind, imbalance, gradients);
  });
  time.backward += timed(rates, job.layout, [&](PassClock& clock) {
    if (piece.has_head) time_head(clock, shape);
    if (piece.has_embedding) time_embedding(clock, shape);
    if (!piece.has_embedding) time_pipe(clock, shape);
  });
  if (splits) {
    time.weights = layers([&](PassClock& clock, AttentionKind kind) {
      time_layer_weights(clock, shape, kind, imbalance);
    });
  }
  return time;
}

StepTime step_time(const Job& job, const Cluster& cluster, const Assumptions& assumptions) {
  return StepClock(job, cluster, assumptions).run();
}

}  // namespace fulgur
