#include "recipes/cost/stage_memory.hpp"

#include <set>
#include <vector>

#include "recipes/cost/layer_memory.hpp"
#include "recipes/layout.hpp"
#include "recipes/pipeline/schedule.hpp"
#include "recipes/pipeline/slots.hpp"

namespace fulgur {
namespace {

constexpr int kFloat = 4, kInt = 4, kDouble = 8;

// Follows one micro-batch through a piece.
class PieceTrace {
 public:
  PieceTrace(const Job& job, const RankShape& shape, const ModelPiece& piece, double imbalance)
      : job_(job),
        s_(shape),
        piece_(piece),
        imbalance_(imbalance),
        splits_(job.pipeline.schedule == PipelineSchedule::kZeroBubble) {}

  PieceMemory run() {
    forward();
    backward();
    return {.work = work_.high_water_bytes(), .operands = put_off_.high_water_bytes()};
  }

 private:
  void allocate_activation(ArenaTrace& arena) {
    arena.allocate(s_.rows * s_.hidden, s_.activation_bytes);
  }
  void allocate_whole_rows() {
    if (s_.layout.tp > 1) work_.allocate(s_.tokens * s_.hidden, s_.activation_bytes);
  }
  AttentionKind kind_of(std::int64_t layer) const { return attention_kind(job_.model, layer); }
  bool recomputes() const { return s_.recompute == Recompute::kFull; }

  void forward() {
    for (int i = 0; i < 3; ++i)  // ids, labels, positions
      work_.allocate(s_.tokens, kInt);
    for (int i = 0; i < 2; ++i)  // distances between the chunks of all ranks
      work_.allocate(s_.state_slots * s_.state_slots * s_.layout.cp, kInt);
    allocate_activation(work_);  // the embedding's output, or what the stage before sends
    if (piece_.has_embedding) {
      const ArenaTrace::Scope scope(work_);
      allocate_whole_rows();
    }
    for (auto layer = piece_.first; layer < piece_.last; ++layer) {
      allocate_activation(work_);
      if (!recomputes()) {
        trace_layer_forward(s_, kind_of(layer), imbalance_, work_);
        continue;
      }
      const ArenaTrace::Scope scope(work_);
      trace_layer_forward(s_, kind_of(layer), imbalance_, work_);
    }
    if (piece_.has_head) {
      work_.allocate(s_.rows, kFloat);
      allocate_activation(work_);
    }
    work_.allocate((piece_.last - piece_.first) * s_.experts, kFloat);
  }

  void backward() {
    allocate_activation(work_);
    if (piece_.has_head) loss();
    for (auto layer = piece_.last; layer-- > piece_.first;)
      backward_layer(layer);
    if (!piece_.has_embedding) return;
    const ArenaTrace::Scope scope(work_);
    allocate_whole_rows();
  }

  void loss() {
    const ArenaTrace::Scope scope(work_);
    allocate_whole_rows();
    work_.allocate(s_.tokens * s_.vocabulary, s_.activation_bytes);
    for (int i = 0; i < 2; ++i)
      work_.allocate(s_.tokens, kFloat);
    if (s_.layout.tp > 1) work_.allocate(s_.layout.tp * s_.tokens, kFloat);
    allocate_whole_rows();
  }

  void backward_layer(std::int64_t layer) {
    auto& operands = splits_ ? put_off_ : work_;
    const ArenaTraces arenas{work_, operands};
    if (!recomputes()) return trace_layer_backward(s_, kind_of(layer), imbalance_, arenas);
    const ArenaTrace::Scope scope(work_);
    work_.allocate(s_.experts, kInt);  // counters of the router
    work_.allocate(s_.experts, kDouble);
    for (int i = 0; i < 3; ++i)
      work_.allocate(1, kInt);
    allocate_activation(work_);
    trace_layer_forward(s_, kind_of(layer), imbalance_, operands);
    trace_layer_backward(s_, kind_of(layer), imbalance_, arenas);
  }

  const Job& job_;
  const RankShape& s_;
  const ModelPiece& piece_;
  double imbalance_;
  bool splits_;
  ArenaTrace work_, put_off_;
};

// Two buffers at each end of the pipes to the neighbours.
double pipe_bytes(const Job& job, const RankShape& shape, int stage) {
  const int pp = job.layout.pp;
  if (pp == 1) return 0;
  const bool ring = job.pipeline.virtual_stages > 1;
  const int neighbours = (ring || stage > 0 ? 1 : 0) + (ring || stage + 1 < pp ? 1 : 0);
  const int ends = 2 * neighbours;  // activations and gradients
  return 2.0 * ends * static_cast<double>(shape.rows * shape.hidden) * shape.activation_bytes;
}

}  // namespace

PieceMemory piece_memory(const Job& job, const RankShape& shape, const ModelPiece& piece,
                         double imbalance) {
  return PieceTrace(job, shape, piece, imbalance).run();
}

InFlight in_flight(const Job& job, const RankShape& shape, int stage, double imbalance) {
  const auto pieces = pieces_of_stage(layers_per_piece(job), job.layout.pp, stage);
  auto schedule = pipeline_shape(job);
  schedule.micro_batches = std::min(schedule.micro_batches, micro_batches_that_fill(schedule));
  const auto slots =
      plan_slots(pipeline_schedule(schedule, stage), static_cast<int>(pieces.size()));
  InFlight result{.most = slots.most_in_flight};
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto bytes = piece_memory(job, shape, pieces[i], imbalance).total();
    result.bytes += static_cast<double>(bytes) * slots.num_slots[i];
  }
  return result;
}

StageMemory stage_memory(const Job& job, const Hardware& hardware, const ModelState& state,
                         int stage, double imbalance) {
  const auto shape = rank_shape(job);
  const auto held = in_flight(job, shape, stage, imbalance);
  std::int64_t layers = 0;
  for (const auto& piece : pieces_of_stage(layers_per_piece(job), job.layout.pp, stage))
    layers += piece.last - piece.first;
  const std::int64_t micro_batches = job.train.batch / job.train.micro_batch;
  const auto counter_bytes = shape.experts * (kInt + kDouble) + 3 * std::int64_t{kInt};
  const auto counters = static_cast<double>(micro_batches * layers * counter_bytes);
  return {.state = state,
          .in_flight = held.most,
          .activations = held.bytes + pipe_bytes(job, shape, stage) + counters,
          .communicators = communicator_bytes(job, hardware),
          .reserved = hardware.reserved};
}

double communicator_bytes(const Job& job, const Hardware& hardware) {
  const auto& l = job.layout;
  const int stage = l.dp * l.cp * l.tp;
  std::set<int> nested{stage * l.pp, stage, l.dp * l.cp};  // the same size: the same ranks
  nested.erase(1);
  auto rings = static_cast<int>(nested.size());
  for (const int size : {l.tp, l.cp, l.ep, l.etp})
    rings += size > 1 ? 1 : 0;
  if (edp(l) > 1 && edp(l) < stage) ++rings;
  const int edges = l.pp > 1 ? 4 : 0;
  const int peers = (l.ep - 1) + (l.cp > 1 ? 2 : 0) + edges;
  return rings * hardware.ring_buffer + peers * hardware.peer_buffer;
}

}  // namespace fulgur
