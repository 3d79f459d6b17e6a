#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "recipes/job.hpp"
#include "recipes/pipeline/messages.hpp"
#include "recipes/pipeline/schedule.hpp"
#include "recipes/pipeline/slots.hpp"
#include "runtime/model/model.hpp"
#include "runtime/optim/sharded_adamw.hpp"
#include "runtime/parallel/pipe.hpp"
#include "runtime/train/routing_totals.hpp"

namespace fulgur {

// The output of an operation of a forward pass, whose work is queued: `values` [rows, ...] are the rows
// of this rank in `batch`, and may be overwritten by what is queued behind.
struct Activation {
  std::int64_t micro_batch;
  std::string
      operation;  // "embedding", "layers.2.attention", ..., "final_norm": activation_shapes()
  const Batch& batch;
  Tensor values;
};
using ActivationHook = std::function<void(const Activation&)>;

// The router's probabilities [rows, E] that a reference has for the rows of `batch`, in ctx.arena.
using RoutingSource = std::function<Tensor(const Context& ctx, const Batch& batch,
                                           std::int64_t micro_batch, std::int64_t layer)>;

// What the gradients of one step are made of.
struct StepData {
  // The sequences of this rank's dp coordinate in a micro-batch, in order. Called once for each pass.
  std::function<std::vector<Sample>(std::int64_t micro_batch)> samples;
  std::int64_t micro_batches = 1;
  std::int64_t sequences = 1;        // of a global micro-batch, all dp ranks together
  std::int64_t length = 1;           // N
  std::int64_t labelled_tokens = 1;  // n, of the whole step over all ranks

  // Empty in ordinary training, where they cost nothing.
  ActivationHook observe = {};   // called for every activation of this rank
  RoutingSource reference = {};  // whose choices are taken at near ties (Batch::reference)
  // Called when all work of a micro-batch on the gradients of a piece is queued.
  std::function<void(std::int64_t micro_batch)> after_backward = {};
};

// The operations of a forward pass that an ActivationHook is told of, in their order, and the width of a
// token's row in each.
struct ActivationShape {
  std::string operation;
  std::int64_t width;
};
std::vector<ActivationShape> activation_shapes(const ModelSpec& model);
std::string router_operation(std::int64_t layer);

// The forward and backward passes of a step on one rank: its pieces of the model, in the order of the
// pipeline schedule, with what is in flight between a forward and its backward pass.
//
// Threads. One thread.
class StepPipeline {
 public:
  // What is passed by reference outlives the pipeline.
  StepPipeline(const Job& job, Mesh& mesh, const ParameterSet& parameters,
               std::span<const ModelPiece> pieces, ShardedAdamW& optimizer);

  // Of rotary positions, from the next step on. Before, it is that of job.model.
  void use_rope_base(double base);

  // Queues all passes of a step on `compute`. Gradients go to the optimizer as they become complete, so
  // optimizer.begin_step() comes before and optimizer.step() behind. Adds this rank's part to `loss` and
  // `aux_loss` ([1] float64): over the world they add up to the sum of the cross-entropy over the
  // labelled tokens, and to the auxiliary loss as it enters the gradient.
  void run(const StepData& data, const Tensor& loss, const Tensor& aux_loss, Stream& compute);

  // How the tokens of the last run were routed: queued behind it, collective over the world, and read when
  // `compute` has passed that, which is waited for.
  void queue_routing(Stream& compute);
  RoutingTotals routing() const { return routing_.totals(); }

  // Passes of layers that were launched as graphs so far (runtime/model/layer_graphs.hpp).
  std::int64_t graph_launches() const;
  // The most bytes of activations held at once so far.
  std::size_t activation_bytes() const;

 private:
  // A micro-batch between its forward pass and its last backward pass in one piece.
  struct Slot {
    explicit Slot(Device device) : arena(device), operand_arena(device) {}

    Arena arena, operand_arena;
    std::optional<Arena::Scope> scope, operand_scope;
    Batch batch;
    Model::Saved saved;
    Tensor dprobability;
    WeightGradients weights;
  };
  // What a step allocates once and keeps.
  struct Counters {
    std::int64_t micro_batches = 0;
    bool has_reference = false;  // in the last step
    std::vector<Buffer> memory;
    RoutingStatistics all;  // with [micro-batch, layers here] in front
  };
  // What follows from the number of micro-batches alone, and is the same in every step.
  struct Plan {
    std::int64_t micro_batches = 0;
    std::vector<Pass> passes;
    SlotPlan slots;
    std::int64_t activations_in = 0, gradients_in = 0;  // messages that come
  };
  struct Step;  // what the passes of one step share

  Model make_piece(const ModelPiece& piece, double rope_base) const;
  bool make_pipes(const TokenGrid& grid, Stream& compute);  // true when they are new
  void make_counters(std::int64_t micro_batches, Stream& compute);
  void make_plan(std::int64_t micro_batches);
  RoutingStatistics counters_of(std::int64_t micro_batch, std::size_t piece) const;
  void rehearse(const Step& step);
  void forward(const Step& step, const Pass& pass, Slot& slot);
  void backward(const Step& step, const Pass& pass, Slot& slot);
  void finish_weights(const Step& step, const Pass& pass, Slot& slot);
  void load_batch(const Step& step, const Pass& pass, Slot& slot);
  static void receive(const Step& step, const std::unique_ptr<PipeReceiver>& from, const Tensor& x);
  static void send(const Step& step, const std::unique_ptr<PipeSender>& to, const Tensor& x);
  void auxiliary_gradient(const Step& step, const Pass& pass, Slot& slot);
  ForwardHooks forward_hooks(const Step& step, const Pass& pass, const Batch& batch);
  Slot& slot(std::size_t piece, int index);

  const Job& job_;
  Mesh& mesh_;
  const ParameterSet& parameters_;
  ShardedAdamW& optimizer_;
  DType dtype_;  // of activations
  std::vector<Model> pieces_;
  std::vector<std::int64_t> first_counter_;  // [pieces + 1] layers here before each piece
  std::vector<std::deque<Slot>> slots_;      // of each piece
  std::optional<TokenGrid> grid_;            // of the pipes
  std::unique_ptr<PipeSender> activations_out_, gradients_out_;
  std::unique_ptr<PipeReceiver> activations_in_, gradients_in_;
  Counters counters_;
  RoutingReader routing_;
  Plan plan_;
};

}  // namespace fulgur
